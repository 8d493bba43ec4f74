"""The last blocks and the norm after them move, whatever the family calls them, and nothing else does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from families import FOREST_DECODERS

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending, tunings
from affina.engine.torch.load import load
from affina.engine.torch.tuned import attach, trainable

Folder = Callable[[str], Path]
PREFIXES = {
    "llama": ("model.model.layers.1.", "model.model.norm."),
    "gemma2": ("model.model.layers.1.", "model.model.norm."),
    "gpt2": ("model.transformer.h.1.", "model.transformer.ln_f."),
    "gpt_neox": ("model.gpt_neox.layers.1.", "model.gpt_neox.final_layer_norm."),
    "opt": ("model.model.decoder.layers.1.", "model.model.decoder.final_layer_norm."),
    "bloom": ("model.transformer.h.1.", "model.transformer.ln_f."),
    "bert": ("model.encoder.layer.1.", "head."),
    "distilbert": ("model.transformer.layer.1.", "head."),
    "t5": ("model.encoder.block.1.", "model.encoder.final_layer_norm.", "head."),
}


def moving(folder: Path, layers: int) -> dict[str, torch.nn.Parameter]:
    labels = 3 if folder.name in ("bert", "distilbert", "t5") else 0
    network = load(folder, Computing("bf16"), Ending("labels", labels) if labels else Ending())
    attach(network, tunings.build({"name": "last_layers", "layers": layers}), seed=0)
    found = trainable(network)
    assert all(each.dtype == torch.float32 for each in found.values())
    own = [name for name in dict(network.named_parameters()) if name.startswith(PREFIXES[folder.name][:1])]
    if layers:
        assert {*own} <= {*found}
    return found


@pytest.mark.parametrize("name", PREFIXES)
def test_one_block_and_the_final_norm_move_and_nothing_else(name: str, family: Folder) -> None:
    found = moving(family(name), 1)
    for prefix in PREFIXES[name]:
        assert any(each.startswith(prefix) for each in found)
    assert all(each.startswith(PREFIXES[name]) for each in found)


@pytest.mark.parametrize("name", PREFIXES)
def test_zero_blocks_leave_the_norm_and_the_label_head(name: str, family: Folder) -> None:
    found = moving(family(name), 0)
    assert found and all(each.startswith(PREFIXES[name][1:]) for each in found)


@pytest.mark.parametrize("name", FOREST_DECODERS)
def test_every_family_has_blocks_and_a_norm(name: str, family: Folder) -> None:
    model = load(family(name), Computing("float32")).model
    counts = [tunings.build({"name": "last_layers", "layers": layers}).count(model) for layers in (0, 1, 2)]
    assert 0 < counts[0] < counts[1] < counts[2] < sum(each.numel() for each in model.parameters())
    assert counts[2] - counts[1] == counts[1] - counts[0]  # blocks alike


def test_more_blocks_than_there_are_are_refused(family: Folder) -> None:
    with pytest.raises(Refused, match="3 layers: this base has 2"):
        moving(family("llama"), 3)


def test_one_block_at_all_depths_is_refused() -> None:
    config = transformers.AlbertConfig(
        vocab_size=64, embedding_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16,
    )  # fmt: skip
    with pytest.raises(Refused, match="one block stands at all depths"):
        tunings.build("last_layers").apply(transformers.AlbertModel(config))
