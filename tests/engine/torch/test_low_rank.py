"""A low-rank product beside a frozen layer computes what PEFT's LoRA computes, forward and backward."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import ENCODERS, noisy
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModel, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from affina.core.errors import Refused
from affina.core.kinds import tunings
from affina.engine.torch.low_rank import LowRank, is_linear, shape

# PEFT 0.21 asks transformers 5.23 under a name that it has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
Folder = Callable[[str], Path]
TOKENS = torch.tensor([[5, 6, 200, 31, 4, 77, 150, 9]])
TARGETS = {"llama": ["q_proj", "v_proj", "up_proj"], "gpt2": ["c_attn", "c_proj"], "bert": ["query", "value"]}


def loaded(folder: Path) -> Any:
    auto: Any = AutoModel if folder.name in ENCODERS else AutoModelForCausalLM
    model = auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    return model.requires_grad_(False)


def output(model: Any) -> torch.Tensor:
    made = model(input_ids=TOKENS)
    found: torch.Tensor = made.logits if hasattr(made, "logits") else made.last_hidden_state
    return found


def adapted(folder: Path, **fields: Any) -> Any:
    """The base with affina's products, A and B filled with noise."""
    model = loaded(folder)
    tunings.build({"name": "lora", "rank": 4, "alpha": 6.0, **fields}).apply(model)
    products = torch.nn.ParameterList(each for each in model.parameters() if each.requires_grad)
    noisy(products, seed=3)
    return model


def pefted(folder: Path, own: Any, **settings: Any) -> Any:
    """The base with PEFT's adapters, holding the numbers of `own`."""
    names = [name for name, each in own.named_modules() if isinstance(each, LowRank)]
    config = LoraConfig(
        r=4, lora_alpha=6, target_modules=names, fan_in_fan_out=folder.name == "gpt2", bias="none", **settings
    )
    model: Any = get_peft_model(loaded(folder), config).eval()
    with torch.no_grad():
        for name in names:
            for part in ("lora_A", "lora_B"):
                mine = getattr(own.get_submodule(name), part)
                getattr(model.base_model.model.get_submodule(name), part)["default"].weight.copy_(mine)
    return model


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("targets", ["all-linear", "chosen"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_outputs_and_gradients_are_those_of_peft(name: str, targets: str, family: Folder) -> None:
    own = adapted(family(name), targets=targets if targets == "all-linear" else TARGETS[name])
    theirs = pefted(family(name), own)
    found, expected = output(own), output(theirs)
    assert apart(found.detach(), expected.detach()) <= 1e-6
    assert apart(found.detach(), output(loaded(family(name)))) > 1e-2
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
    torch.autograd.backward((found * weights).sum())
    torch.autograd.backward((expected * weights).sum())
    compared = 0
    for layer, each in own.named_modules():
        if isinstance(each, LowRank) and each.lora_A.grad is not None:
            twin = theirs.base_model.model.get_submodule(layer)
            for part in ("lora_A", "lora_B"):
                grad = getattr(twin, part)["default"].weight.grad
                assert apart(getattr(each, part).grad, grad) <= 5e-6, layer
                compared += 1
    assert compared >= 6


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "gpt_neox", "phi3", "distilbert"])
def test_written_files_load_with_peft_and_give_the_same_outputs(name: str, family: Folder, tmp_path: Path) -> None:
    folder, tuning = family(name), tunings.build({"name": "lora", "rank": 4, "alpha": 6.0})
    own = loaded(folder)
    plain = output(own).detach()
    tuning.apply(own)
    noisy(torch.nn.ParameterList(each for each in own.parameters() if each.requires_grad), seed=3)
    tuning.write(own, tmp_path, folder)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    reloaded = PeftModel.from_pretrained(loaded(folder), tmp_path).eval()
    assert apart(output(reloaded).detach(), output(own).detach()) <= 1e-6
    assert apart(output(own).detach(), plain) > 1e-2


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "opt", "bert"])
def test_all_linear_layers_but_the_head_get_a_product(name: str, family: Folder) -> None:
    own = adapted(family(name))
    linear = [each for each in loaded(family(name)).modules() if is_linear(each)]
    products = [each for each in own.modules() if isinstance(each, LowRank)]
    assert len(products) == len(linear) - (name != "bert")
    assert not isinstance(own.get_output_embeddings(), LowRank)


def test_the_count_is_rank_times_in_plus_out_summed(family: Folder) -> None:
    # llama: hidden 32, 4 heads and 2 key heads of 8, MLP 48; q and v and up, two layers, rank 4.
    expected = 2 * 4 * ((32 + 32) + (32 + 16) + (32 + 48))
    own = adapted(family("llama"), targets=["q_proj", "v_proj", "up_proj"])
    tuning = tunings.build({"name": "lora", "rank": 4})
    assert tuning.count(own) == expected == sum(each.numel() for each in own.parameters() if each.requires_grad)
    # GPT-2's Conv1D is transposed: c_attn 32 → 96.
    own = adapted(family("gpt2"), targets=["c_attn"])
    assert (
        tuning.count(own) == 2 * 4 * (32 + 96) == sum(each.numel() for each in own.parameters() if each.requires_grad)
    )


def test_a_head_that_is_the_embeddings_is_not_adapted(family: Folder) -> None:
    with pytest.raises(Refused, match=r"one table is both its embeddings and its output head. it has down_proj"):
        adapted(family("llama"), targets=["lm_head"])


@pytest.mark.parametrize("targets", [["nope"], ["q_proj", "nope"], ["proj"], []])
def test_a_target_that_names_no_layer_is_refused_with_those_there_are(targets: list[str], family: Folder) -> None:
    with pytest.raises(Refused, match=r"names no layer of this base.*down_proj.*q_proj"):
        adapted(family("llama"), targets=targets)


def test_a_target_may_be_a_whole_name(family: Folder) -> None:
    own = adapted(family("llama"), targets=["model.layers.1.self_attn.q_proj"])
    found = [name for name, each in own.named_modules() if isinstance(each, LowRank)]
    assert found == ["model.layers.1.self_attn.q_proj"]


def test_a_fresh_product_changes_nothing_and_is_drawn_as_peft_draws_it() -> None:
    layer = torch.nn.Linear(64, 8)
    torch.manual_seed(0)
    product = LowRank(layer, 4, 2.0, 0.0)
    x = torch.randn(3, 64)
    assert torch.equal(product(x), layer(x))
    torch.manual_seed(0)
    theirs: Any = get_peft_model(torch.nn.Sequential(torch.nn.Linear(64, 8)), LoraConfig(r=4, target_modules=["0"]))
    drawn = theirs.base_model.model[0].lora_A["default"].weight.detach()
    # Kaiming's uniform bound with a = √5 is 1/√in = 1/8.
    assert float(product.lora_A.detach().abs().max()) <= 1 / 8 and float(drawn.abs().max()) <= 1 / 8
    assert float(product.lora_A.detach().std()) == pytest.approx(float(drawn.std()), rel=0.1)


@pytest.mark.parametrize(("kind", "biased"), [("linear", False), ("linear", True), ("transposed", True)])
def test_a_change_too_small_for_bf16_survives_the_sum_and_its_rounding(kind: str, biased: bool) -> None:
    """Beside values of about 1, of which bf16 keeps the unit of 2^-7, changes of 1e-3: where the large product is
    rounded alone and the sum again, as values are, a fifth of them is lost."""
    torch.manual_seed(0)
    layer: Any = torch.nn.Linear(64, 48, bias=biased) if kind == "linear" else Conv1D(48, 64)  # type: ignore[no-untyped-call]
    torch.nn.init.normal_(layer.weight, std=1 / 8)
    product = LowRank(layer.bfloat16(), 4, 2.0, 0.0)
    torch.nn.init.normal_(product.lora_B, std=1e-3)
    x = torch.randn(4000, 64).bfloat16()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        found = product(x)
        rounded = torch.nn.functional.linear(x, product.lora_A)
        change = 2.0 * torch.nn.functional.linear(rounded, product.lora_B).double()
    layer.requires_grad_(False)
    weight = layer.weight.double() if kind == "transposed" else layer.weight.double().T
    own = x.double() @ weight + (layer.bias.double() if layer.bias is not None else 0.0)

    def kept(y: torch.Tensor) -> float:
        """The share of the change, along itself, that values hold."""
        return float(((y.bfloat16().double() - own) * change).sum() / change.square().sum())

    assert found.dtype == torch.float32 and kept(found) == pytest.approx(1.0, abs=0.03)
    assert kept(own.bfloat16().double() + change) < 0.9


def test_what_stands_in_for_a_base_is_asked_in_bf16_too() -> None:
    """Decoding puts laid-out copies in place of a layer's own product; a hook may look on."""
    product, heard = LowRank(torch.nn.Linear(8, 8).bfloat16(), 2, 1.0, 0.0), []
    base: Any = product.base
    x, own = torch.ones(1, 8).bfloat16(), base.forward
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        plain = product(x)
        base.forward = lambda x: own(x) + 1
        assert torch.equal(product(x), (own(x) + 1).float())
        del base.forward
        base.register_forward_hook(lambda *given: heard.append(1))
        assert torch.allclose(product(x), plain, atol=0.02) and heard == [1]


def test_dropout_falls_on_the_products_input_only_and_only_in_training() -> None:
    layer = torch.nn.Linear(8, 8)
    product = LowRank(layer, 2, 1.0, 0.5)
    x = torch.ones(1, 8)
    product.train()
    assert torch.equal(product(x), layer(x))  # B is zero: dropout touches nothing of the base
    noisy(torch.nn.ParameterList([product.lora_B]), seed=1)
    assert not torch.equal(product(x), product(x))
    product.eval()
    assert torch.equal(product(x), product(x))


def test_a_linear_layer_is_known_by_its_shape() -> None:
    transposed = Conv1D(5, 3)  # type: ignore[no-untyped-call]
    assert shape(torch.nn.Linear(3, 5)) == shape(transposed) == (5, 3)
    assert is_linear(transposed) and is_linear(torch.nn.Linear(3, 5)) and not is_linear(torch.nn.Embedding(3, 5))


def test_a_target_with_a_star_is_a_pattern_of_whole_names(family: Folder) -> None:
    own = adapted(family("llama"), targets=["*.layers.1.*_proj"])
    found = {name.rpartition(".")[0] for name, _ in own.named_parameters() if name.endswith("lora_A")}
    assert len(found) == 7 and all(".layers.1." in name for name in found)
    with pytest.raises(Refused, match=r"\*\.layers\.9\.\* names no layer"):
        adapted(family("llama"), targets=["*.layers.9.*"])
