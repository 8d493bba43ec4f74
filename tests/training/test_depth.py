"""Depth in models of two stacks: an encoder's blocks stand below its decoder's, whatever tuning counts them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from families import _ENCODER

from affina.core.compute import Computing
from affina.core.kinds import Ending, tunings
from affina.engine.torch.load import load
from affina.training.depth import places

Folder = Callable[[str], Path]
PARTS: dict[str, dict[str, int]] = {
    "t5": {
        "shared.": -1, "encoder.block.0.": 0, "encoder.block.1.": 1, "encoder.final_layer_norm.": 1,
        "decoder.block.0.": 2, "decoder.block.1.": 3, "decoder.final_layer_norm.": 4, "lm_head.": 4,
    },
    "bart": {
        "model.shared.": -1, "model.encoder.embed_positions.": -1, "model.encoder.layernorm_embedding.": -1,
        "model.encoder.layers.0.": 0, "model.encoder.layers.1.": 1, "model.decoder.embed_positions.": -1,
        "model.decoder.layernorm_embedding.": -1, "model.decoder.layers.0.": 2, "model.decoder.layers.1.": 3,
    },
}  # fmt: skip


def opened(folder: Path) -> Any:
    return load(folder, Computing("float32"), Ending(reads="source")).model


def moved(model: Any, spec: dict[str, Any]) -> set[str]:
    part = tunings.build(spec)
    part.apply(model)
    return {name for name, each in model.named_parameters() if each.requires_grad}


@pytest.mark.parametrize("name", PARTS)
def test_a_decoders_blocks_stand_above_its_encoders(name: str, family: Folder) -> None:
    found, count = places(opened(family(name)), "this")
    assert count == 4
    for key, place in found.items():
        assert place == next(at for prefix, at in PARTS[name].items() if key.startswith(prefix)), key


@pytest.mark.parametrize("name", PARTS)
def test_the_last_block_of_an_encoder_decoder_is_its_decoders(name: str, family: Folder) -> None:
    last = {"t5": ("decoder.block.1.", "decoder.final_layer_norm."), "bart": ("model.decoder.layers.1.",)}[name]
    found = moved(opened(family(name)), {"name": "last_layers", "layers": 1})
    assert found and all(each.startswith(last) for each in found)
    three = moved(opened(family(name)), {"name": "last_layers", "layers": 3})
    assert found < three and any("encoder" in each for each in three)


def test_unfreezing_opens_the_decoder_before_the_encoder(family: Folder) -> None:
    model, part = opened(family("t5")), tunings.build({"name": "gradual_unfreeze", "every": 10})
    closed = [part.closed(model, step) for step in (1, 11, 21, 31, 41)]
    assert any(each.startswith("decoder.block.0.") for each in closed[0])
    assert not any(each.startswith("decoder.block.") for each in closed[1])
    assert {each.split(".")[0] for each in closed[2]} == {"encoder", "shared"}
    assert closed[3] == {"shared.weight"} and not closed[4]


def test_what_widens_small_embeddings_stands_below_the_blocks() -> None:
    config = transformers.ElectraConfig(vocab_size=64, embedding_size=16, **_ENCODER)
    found, _ = places(transformers.ElectraModel(config), "this")
    assert {found[name] for name in found if name.startswith("embeddings")} == {-1}
