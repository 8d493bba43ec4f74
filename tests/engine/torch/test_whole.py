"""A model's folder written again is the same model, what a checkpoint holds beside parameters too."""

from collections.abc import Callable
from pathlib import Path

import families
import numpy as np
import pytest
import torch
import transformers
from served import some_tokens

from affina.engine.torch import library
from affina.engine.torch.headed import write as rounded
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
