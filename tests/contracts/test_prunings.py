"""The law every pruning keeps: what goes is what matters least, and what is saved is the smaller model."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import build, random_rows
from served import some_tokens

from affina.core.errors import Refused
from affina.core.kinds import prunings
from affina.engine.torch import library

NAMES = prunings.names()
ROWS = [row for row in random_rows(300) if row.targets]


def pruned(folder: Path, name: str, out: Path, **fields: Any) -> Any:
    """The model that was saved, opened again."""
    out.mkdir()
    part = prunings.build({"name": name, **fields})
    library.edited(folder, out, lambda model: part.prune(model, ROWS))
    return library.whole(out).model


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_opens_as_the_smaller_model(name: str, family: Callable[[str], Path], tmp_path: Path) -> None:
    whole = library.whole(family("llama")).model
    model = pruned(family("llama"), name, tmp_path / "out", share=0.4)
    tokens = torch.tensor([some_tokens(300)])
    assert torch.isfinite(model(tokens).logits).all()
    numbers = [sum(each.numel() for each in one.parameters()) for one in (whole, model)]
    structured = prunings.find(name).structured
    assert (numbers[1] < numbers[0]) == structured
    zeros = sum(int((each == 0).sum()) for each in model.parameters())
    assert structured or zeros / numbers[0] == pytest.approx(0.4, abs=0.3)
    again = pruned(family("llama"), name, tmp_path / "again", share=0.4)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))


def test_magnitude_leaves_the_large_weights_as_they_are(family: Callable[[str], Path], tmp_path: Path) -> None:
    whole = library.whole(family("llama")).model.model.layers[0].mlp.up_proj.weight.detach()
    left = (
        pruned(family("llama"), "magnitude", tmp_path / "out", share=0.25).model.layers[0].mlp.up_proj.weight.detach()
    )
    gone = left == 0
    assert int(gone.sum()) == math.floor(0.25 * whole.numel())
    assert float(whole[gone].abs().max()) <= float(whole[~gone].abs().min())
    assert torch.equal(whole[~gone], left[~gone])


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_a_head_whose_output_counts_for_nothing_is_the_one_that_goes(
    kind: str, family: Callable[[str], Path], tmp_path: Path
) -> None:
    """Its columns of o are 0: without it the logits are the same."""
    silent = tmp_path / "silent"
    silent.mkdir()

    def silence(model: Any) -> None:
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.data[:, 16:] = 0  # heads 2 and 3, the second group of keys

    library.edited(family(kind), silent, silence)
    model = pruned(silent, "heads", tmp_path / "out", share=0.5)
    tokens = torch.tensor([some_tokens(300)])
    with torch.no_grad():
        assert torch.allclose(model(tokens).logits, library.whole(silent).model(tokens).logits, atol=1e-5)
    assert (model.config.num_attention_heads, model.config.num_key_value_heads) == (2, 1)


def test_a_block_that_changes_nothing_is_the_one_that_goes(family: Callable[[str], Path], tmp_path: Path) -> None:
    idle = tmp_path / "idle"
    idle.mkdir()

    def rest(model: Any) -> None:
        block = model.model.layers[0]
        block.self_attn.o_proj.weight.data.zero_()
        block.mlp.down_proj.weight.data.zero_()

    library.edited(family("llama"), idle, rest)
    model = pruned(idle, "layers", tmp_path / "out", share=0.5)
    tokens = torch.tensor([some_tokens(300)])
    with torch.no_grad():
        assert torch.allclose(model(tokens).logits, library.whole(idle).model(tokens).logits, atol=1e-5)
    assert model.config.num_hidden_layers == 1


def test_heads_of_a_bert_do_not_go_alone(family: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(Refused, match="taking heads out of bert: its attention is not of four matrices"):
        pruned(family("bert"), "heads", tmp_path / "out")


def test_what_a_config_says_block_by_block_goes_with_the_block(tmp_path: Path) -> None:
    """Of four blocks the second has no rotary positions and does nothing: without it the logits are the same."""
    folder, idle = build("smollm3", tmp_path / "base", no_rope_layers=[1, 0, 1, 1]), tmp_path / "idle"
    idle.mkdir()

    def rest(model: Any) -> None:
        block = model.model.layers[1]
        block.self_attn.o_proj.weight.data.zero_()
        block.mlp.down_proj.weight.data.zero_()

    library.edited(folder, idle, rest)
    model = pruned(idle, "layers", tmp_path / "out", share=0.25)
    tokens = torch.tensor([some_tokens(300)])
    with torch.no_grad():
        assert torch.allclose(model(tokens).logits, library.whole(idle).model(tokens).logits, atol=1e-5)
    assert model.config.num_hidden_layers == 3


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("olmo2", "heads", "olmo2 cannot be made smaller so: its config has no word for the size of .*k_norm"),
        ("gpt_neo", "layers", "gpt_neo cannot be made smaller so: .*attention_layers"),
    ],
)
def test_what_its_config_cannot_say_is_refused_and_nothing_is_written(
    kind: str, name: str, why: str, tmp_path: Path
) -> None:
    folder = build(kind, tmp_path / "base")
    with pytest.raises(Refused, match=why):
        pruned(folder, name, tmp_path / "out")
    assert [*(tmp_path / "out").iterdir()] == []
