"""A model's folder written again is the same model, what a checkpoint holds beside parameters too."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import families
import numpy as np
import pytest
import torch
import transformers
from served import some_tokens

from affina.core.compute import Computing
from affina.core.kinds import Ending
from affina.engine.torch import library
from affina.engine.torch.headed import write as rounded
from affina.engine.torch.load import load
from affina.engine.torch.whole import write_folder

BALANCE = "model.layers.1.mlp.gate.e_score_correction_bias"


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture of experts whose balance, a buffer, prefers two of the four."""
    folder = families.build("deepseek_v3", tmp_path_factory.mktemp("routed") / "base", **families.ROUTED)
    model = loaded(folder)
    dict(model.named_buffers())[BALANCE].copy_(torch.tensor([9.0, 0, 0, 5]))
    model.save_pretrained(folder)
    return folder


def loaded(folder: Path) -> torch.nn.Module:
    model: torch.nn.Module = transformers.AutoModelForCausalLM.from_pretrained(folder)
    return model


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "whole": lambda base, out: write_folder(loaded(base), out, base, wide=True),
    "edited": lambda base, out: library.edited(base, out, lambda model: None),
    "rounded": lambda base, out: rounded(base, out, "float32"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_balances_experts_is_written_too(way: str, routed: Path, tmp_path: Path) -> None:
    WAYS[way](routed, tmp_path)
    tokens = some_tokens(300)
    expected, found = (library.whole(each).logits(tokens) for each in (routed, tmp_path))
    np.testing.assert_array_equal(found, expected)


def test_a_configuration_that_names_the_body_alone_names_what_was_trained(
    family: Callable[[str], Path], tmp_path: Path
) -> None:
    """A published BART is called BartModel: what is written has words, and other tools load them by that name."""
    base = shutil.copytree(family("bart"), tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "architectures": ["BartModel"]}))
    (tmp_path / "out").mkdir()
    write_folder(load(base, Computing("float32"), Ending(reads="source")).model, tmp_path / "out", base)
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert written == {**config, "architectures": ["BartForConditionalGeneration"]}
