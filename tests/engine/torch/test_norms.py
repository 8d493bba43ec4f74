"""The own RMS norm is the library's where it replaces it, and stays exact where the library rounds to float32."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import noisy
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from affina.engine.torch.norms import RootMeanSquare, follow_precision

Folder = Callable[[str], Path]
ONES = {"gemma2": 1.0, "gemma3_text": 1.0}  # families whose weight is kept as what is added to 1
D = 16


def models(folder: Path) -> tuple[Any, Any]:
    """The library's model twice, of the same weights, the second with own norms."""
    made = [AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)) for _ in range(2)]
    for each in made:
        noisy(each)
    follow_precision(made[1])
    return made[0], made[1]


@pytest.mark.parametrize(
    "name", ["llama", "qwen3", "mistral", "gemma2", "gemma3_text", "olmo2", "phi3", "granite", "lfm2"]
)
def test_every_norm_of_a_known_family_is_replaced_by_one_that_computes_the_same(name: str, family: Folder) -> None:
    library, own = models(family(name))
    assert [*library.state_dict()] == [*own.state_dict()]
    replaced = [(path, each) for path, each in own.named_modules() if isinstance(each, RootMeanSquare)]
    assert len(replaced) == sum(type(each).__name__.endswith("RMSNorm") for each in library.modules()) >= 4
    draw = torch.Generator().manual_seed(0)
    for path, norm in replaced:
        assert norm.offset == ONES.get(name, 0.0)
        for size in (1.0, 1e-3):
            x = torch.randn(3, norm.weight.numel(), generator=draw) * size
            assert torch.allclose(norm(x), library.get_submodule(path)(x), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_in_float64_the_formula_holds_to_the_last_digits(offset: float) -> None:
    draw = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(shape, generator=draw, dtype=torch.float64) for shape in ((5, D), (D,)))
    found = RootMeanSquare(nn.Parameter(weight), 1e-6, offset)(x)
    expected = x / (x.pow(2).sum(-1, keepdim=True) / D + 1e-6).sqrt() * (weight + offset)
    assert found.dtype == torch.float64 and float((found - expected).detach().abs().max()) < 1e-14


def test_in_bf16_the_result_is_rounded_once() -> None:
    draw = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(shape, generator=draw).bfloat16() for shape in ((50, D), (D,)))
    norm = RootMeanSquare(nn.Parameter(weight), 1e-6, 0.0)
    exact = norm.double()(x.double())
    found = norm.bfloat16()(x)
    assert found.dtype == torch.bfloat16
    # Rounded to nearest, 8 bits of mantissa: at most 2^-8 of the value away, and a float32 sum away from the tie.
    assert bool(((found.double() - exact).abs() <= exact.abs() * 2**-8 * 1.001).all())


class Weighted(nn.Module):
    """A weight of ones, and an eps under a name of the library's."""

    def __init__(self, name: str = "eps") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(D))
        setattr(self, name, 1e-6)


def test_a_norm_of_another_form_stays() -> None:
    class HalvedRMSNorm(Weighted):
        """Half of what its name says."""

        eps: float

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight / 2

    class OwnRMSNorm(HalvedRMSNorm):
        """The form itself, of no library."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 2

    HalvedRMSNorm.__module__ = "transformers.models.halved.modeling_halved"
    model = nn.Sequential(HalvedRMSNorm(), OwnRMSNorm(), nn.LayerNorm(D))
    follow_precision(model)
    assert [type(each).__name__ for each in model] == ["HalvedRMSNorm", "OwnRMSNorm", "LayerNorm"]
    OwnRMSNorm.__module__ = HalvedRMSNorm.__module__
    follow_precision(model)
    assert [type(each).__name__ for each in model] == ["HalvedRMSNorm", "RootMeanSquare", "LayerNorm"]


def test_another_eps_is_another_norm() -> None:
    class ShiftedRMSNorm(Weighted):
        """Adds ten times the eps it declares."""

        variance_epsilon: float

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 10 * self.variance_epsilon) * self.weight

    ShiftedRMSNorm.__module__ = "transformers.models.shifted.modeling_shifted"
    model = nn.Sequential(ShiftedRMSNorm("variance_epsilon"))
    follow_precision(model)
    assert type(model[0]).__name__ == "ShiftedRMSNorm"
