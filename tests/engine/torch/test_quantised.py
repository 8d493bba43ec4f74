"""A layer in few bits gives bitsandbytes' numbers, takes the bytes that arithmetic says, and keeps them."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from transformers.pytorch_utils import Conv1D

from affina.engine.torch.quantised import Quantised, bytes_of

OUT, INTO = 96, 256


def layer(bias: bool = True) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(INTO, OUT, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_and_gradients_are_those_of_bitsandbytes(dtype: torch.dtype, double: bool) -> None:
    base = layer()
    theirs = Linear4bit(INTO, OUT, quant_type="nf4", compress_statistics=double, compute_dtype=dtype)
    theirs.weight = Params4bit(
        base.weight.data.clone(), requires_grad=False, quant_type="nf4", compress_statistics=double, blocksize=64
    ).to("cpu")
    theirs.bias = base.bias
    theirs.train()  # asleep, it takes another way where the processor has one for it
    x = torch.randn(7, INTO, dtype=dtype)
    found, expected = [], []
    for module, kept in ((Quantised(base, "nf4", double), found), (theirs, expected)):
        given = x.clone().requires_grad_()
        made = module(given)
        made.float().square().sum().backward()
        kept += [made.detach().float(), given.grad.float() if given.grad is not None else None]
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).norm() / other.norm()) < (1e-6 if dtype == torch.float32 else 1e-2)


def test_int8_is_off_by_half_a_step_of_its_row_at_most() -> None:
    base = layer()
    step = base.weight.abs().amax(1, keepdim=True) / 127
    assert bool(((Quantised(base, "int8", True).weight - base.weight).abs() <= step * 0.5001).all())


def test_each_takes_the_bytes_that_the_paper_counts() -> None:
    """4 bits and a scale per 64: of 32 bits alone (0.5 more), of 8 with one of 32 per 256 of them (0.127 more)."""
    whole, levels, outer = OUT * INTO, 16 * 4, 256 * 4 + 4  # tables of nf4's 16 and the scales' 256 values; an offset
    found = {(quant, double): bytes_of(Quantised(layer(bias=False), quant, double))
             for quant, double in (("nf4", True), ("nf4", False), ("int8", True))}  # fmt: skip
    scales = whole // 64
    assert found["nf4", False] == whole // 2 + scales * 4 + levels
    assert found["nf4", True] == whole // 2 + scales + -(-scales // 256) * 4 + levels + outer
    assert found["int8", True] == whole + OUT * 4


def test_a_transposed_layer_is_quantised_as_the_linear_one() -> None:
    linear, across = layer(), Conv1D(OUT, INTO).requires_grad_(False)
    across.weight.data, across.bias.data = linear.weight.data.T.clone(), linear.bias.data
    x = torch.randn(3, INTO)
    first, second = Quantised(linear, "nf4", True), Quantised(across, "nf4", True)
    assert torch.equal(first(x), second(x)) and (second.kind, second.shape) == ("Conv1D", (OUT, INTO))


@pytest.mark.parametrize("quant", ["nf4", "int8"])
def test_nothing_in_it_trains_and_a_wider_buffer_gives_the_same_weight(quant: str) -> None:
    made = Quantised(layer(), quant, True)
    before = made.weight
    assert not [*made.parameters()]
    for each in made.buffers():
        each.data = each.data.double() if each.is_floating_point() else each.data
    assert torch.equal(made.weight, before)
