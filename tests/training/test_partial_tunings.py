"""Freezing by block and by name, biases alone, rates by depth and LoRA's variants: which tensors move, and how fast."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import random_rows
from peft import PeftModel
from transformers import AutoModelForCausalLM

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending, objectives, optimizers, schedules, tunings
from affina.data.rows import Renderer
from affina.engine.torch.load import Network, load
from affina.engine.torch.low_rank import Decomposed
from affina.engine.torch.products import whole
from affina.engine.torch.step import Course, TorchEngine
from affina.engine.torch.tuned import attach, trainable
from affina.training.depth import places

Folder = Callable[[str], Path]
BELOW = {"llama": "model.embed_tokens.", "gpt2": "transformer.w", "bert": "embeddings.", "distilbert": "embeddings."}
BLOCKS = {
    "llama": "model.layers.",
    "gpt2": "transformer.h.",
    "bert": "encoder.layer.",
    "distilbert": "transformer.layer.",
}
TOKENS = torch.tensor([[5, 6, 200, 31, 4]])
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def opened(folder: Path) -> Network:
    return load(folder, Computing("bf16"), Ending("labels", 3) if folder.name in ("bert", "distilbert") else Ending())


def moving(folder: Path, spec: Any) -> set[str]:
    """Names inside the base of what moves, all of it float32; the new label head, where there is one, left out."""
    network = opened(folder)
    attach(network, tunings.build(spec), seed=0)
    found = trainable(network)
    assert all(each.dtype == torch.float32 for each in found.values())
    return {name.removeprefix("model.") for name in found if name.startswith("model.")}


@pytest.mark.parametrize("name", BELOW)
def test_places_run_from_the_embeddings_through_the_blocks_to_what_is_above(name: str, family: Folder) -> None:
    network = opened(family(name))
    found, count = places(network.model, "x")
    assert count == 2 and {*found} == {key for key, _ in network.model.named_parameters()}
    for key, place in found.items():
        expected = -1 if key.startswith(BELOW[name]) else count
        if key.startswith(BLOCKS[name]):
            expected = int(key.removeprefix(BLOCKS[name]).partition(".")[0])
        assert place == expected, key
    assert {*found.values()} >= {-1, 0, 1}


@pytest.mark.parametrize("name", BELOW)
def test_first_blocks_stay_with_the_embeddings_and_last_ones_without(name: str, family: Folder) -> None:
    every = moving(family(name), "full")
    without_first = moving(family(name), {"name": "freeze", "first": 1})
    assert every - without_first == {key for key in every if key.startswith((BELOW[name], f"{BLOCKS[name]}0."))}
    without_last = moving(family(name), {"name": "freeze", "first": 0, "last": 1})
    assert every - without_last == {key for key in every if key.startswith(f"{BLOCKS[name]}1.")}


def test_names_stay_by_pattern_and_add_to_the_blocks(family: Folder) -> None:
    every = moving(family("gpt2"), "full")
    found = moving(family("gpt2"), {"name": "freeze", "first": 0, "names": ["*.bias", "*wte*"]})
    assert found == {key for key in every if not key.endswith(".bias") and "wte" not in key}
    both = moving(family("gpt2"), {"name": "freeze", "first": 1, "names": ["*.bias"]})
    assert both == {
        key for key in every if not key.endswith(".bias") and key.startswith(("transformer.h.1", "transformer.ln_f"))
    }


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"names": ["*attn_q*"]}, r"'\*attn_q\*' names no parameter of this base"),
        ({"first": 2, "last": 1}, "3 blocks.*this base has 2"),
        ({"names": ["*"]}, "nothing is left to move"),
    ],
)
def test_what_cannot_be_frozen_is_refused(spec: Any, said: str, family: Folder) -> None:
    with pytest.raises(Refused, match=said):
        moving(family("gpt2"), {"name": "freeze", **spec})


def test_a_base_without_a_list_of_blocks_is_frozen_by_name_only(
    family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = opened(family("bert"))
    monkeypatch.setattr("affina.engine.torch.blocks.blocks_of", lambda body, count: [])
    with pytest.raises(Refused, match="one block stands at all depths"):
        attach(network, tunings.build("freeze"), seed=0)
    attach(network, tunings.build({"name": "freeze", "first": 0, "names": ["*embeddings*"]}), seed=0)
    found = trainable(network)
    assert found and not any("embeddings" in key for key in found)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_bitfit_moves_biases_and_nothing_else(name: str, family: Folder) -> None:
    every = {key for key, _ in opened(family(name)).model.named_parameters()}
    assert moving(family(name), "bitfit") == {key for key in every if key.endswith(".bias")} != set()


def learnt(folder: Path, spec: Any) -> tuple[TorchEngine, dict[str, torch.Tensor]]:
    """An engine after one step of plain gradient descent, and how far each tensor went per unit of its gradient."""
    course = Course(
        tunings.build(spec), optimizers.build({"name": "sgd", "clip": 1e9, "momentum": 0.0}),
        schedules.build("constant"), 1.0, 10, 0,
    )  # fmt: skip
    engine = TorchEngine(load(folder, Computing("float32")), Renderer.open(folder), course)
    batch = engine.layout([row for row in random_rows(engine.network.config.vocab_size) if row.targets])
    objective = objectives.build("cross_entropy")
    gradients = engine.gradients([batch], objective)
    before = {name: each.detach().clone() for name, each in engine.trainable().items()}
    engine.learn([batch], objective, 1)
    gone = {
        name: (before[name] - each.detach()).norm() / gradients[name].norm()
        for name, each in engine.trainable().items()
        if name in gradients and gradients[name].norm() > 1e-6
    }
    return engine, gone


def test_each_block_learns_at_a_share_of_the_rate_of_the_block_above(family: Folder) -> None:
    engine, gone = learnt(family("llama"), {"name": "full", "layer_decay": 0.5})
    place, count = places(engine.network.model, "x")
    assert count == 2 and len(gone) > 10
    for name, rate in gone.items():
        assert float(rate) == pytest.approx(0.5 ** (2 - place[name.removeprefix("model.")]), rel=1e-3), name


def test_lora_plus_moves_b_faster_than_a(family: Folder) -> None:
    engine, gone = learnt(family("llama"), {"name": "lora", "rank": 4, "lora_plus": 16.0})
    assert {round(float(rate), 2) for name, rate in gone.items() if name.endswith("lora_B")} == {16.0}
    scales = {group["scale"]: len(group["params"]) for group in engine.optimizer.param_groups}
    assert {*scales} == {1.0, 16.0} and scales[1.0] == scales[16.0] == 14


def test_rslora_is_scaled_by_the_root_of_the_rank_and_read_so_by_peft(family: Folder, tmp_path: Path) -> None:
    part = tunings.build({"name": "lora", "rank": 16, "alpha": 8.0, "rslora": True})
    network = load(family("llama"), Computing("float32"))
    attach(network, part, seed=0)
    layers = [each for each in network.model.modules() if type(each).__name__ == "LowRank"]
    assert layers and all(float(each.scale) == 8.0 / math.sqrt(16) for each in layers)  # type: ignore[arg-type]
    with torch.no_grad():
        for each in trainable(network).values():
            each.add_(torch.randn(each.shape, generator=torch.Generator().manual_seed(1)) * 0.05)
    part.write(network.model, tmp_path, family("llama"))
    assert json.loads((tmp_path / "adapter_config.json").read_text())["use_rslora"] is True
    tokens = torch.tensor([[5, 6, 20, 31]])
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(family("llama")), tmp_path).eval()
    with torch.no_grad(), network.library_attention():
        assert torch.allclose(network.model(tokens).logits, theirs(tokens).logits, atol=1e-4)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_dora_is_pefts_in_numbers_gradients_and_file(name: str, family: Folder, tmp_path: Path) -> None:
    part = tunings.build({"name": "lora", "rank": 4, "dora": True})
    network = load(family(name), Computing("float32"))
    with network.library_attention():
        before = network.model(TOKENS).logits
        attach(network, part, seed=0)
        assert torch.equal(network.model(TOKENS).logits, before)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for each in trainable(network).values():
            each.mul_(1 + 0.1 * torch.rand(each.shape, generator=noise)).add_(
                torch.randn(each.shape, generator=noise) * 0.02
            )
    part.write(network.model, tmp_path, family(name))
    theirs = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(family(name)), tmp_path, is_trainable=True
    ).eval()
    with network.library_attention():
        made, expected = network.model(TOKENS).logits, theirs(TOKENS).logits
    assert torch.allclose(made, expected, atol=2e-5) and not torch.allclose(made, before, atol=1e-2)
    made.square().sum().backward()
    expected.square().sum().backward()
    own = {key: each.grad for key, each in network.model.named_parameters() if each.requires_grad}
    found = {key: each.grad for key, each in theirs.named_parameters() if each.requires_grad}
    assert len(own) == len(found) > 0 and sum(each.numel() for each in own.values() if each is not None) == part.count(
        network.model
    )
    for key, gradient in own.items():
        module, _, leaf = key.rpartition(".")
        match = found[f"base_model.model.{module}.{leaf}.default.weight"]
        assert gradient is not None and match is not None
        assert torch.allclose(gradient, match, atol=1e-4 * float(match.abs().max())), key


def test_dora_merges_into_weights_that_answer_alike(family: Folder) -> None:
    network = load(family("gpt2"), Computing("float32"))
    attach(network, tunings.build({"name": "lora", "rank": 4, "dora": True}), seed=0)
    x = torch.randn(3, network.config.hidden_size, generator=torch.Generator().manual_seed(2))
    layers = [each for each in network.model.modules() if isinstance(each, Decomposed)]
    with torch.no_grad():
        for layer in layers[:4]:
            layer.lora_B.normal_(std=0.1)
            layer.lora_magnitude_vector.mul_(1.3)
            given = x[:, : layer.lora_A.shape[1]] if layer.lora_A.shape[1] <= x.shape[1] else x.repeat(1, 4)
            base: Any = layer.base
            weight = whole(layer, torch.float32)
            assert weight is not None
            assert torch.allclose(layer(given), given @ weight.T + base.bias, atol=1e-5)


def test_dora_leaves_a_row_of_zeros_finite() -> None:
    base = torch.nn.Linear(6, 4)
    with torch.no_grad():
        base.weight[2] = 0.0
    layer, x = Decomposed(base, 2, 1.0, 0.0), torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layer(x), base(x))
    layer(x).square().sum().backward()
    assert all(each.grad is None or torch.isfinite(each.grad).all() for each in layer.parameters())
