"""Whole runs with tunings that add or choose modules: proofs, trunk, resume to the bit, a model that others load."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume import Stopping, straight
from tiny import outcome
from transformers import AutoModelForCausalLM

import affina
from affina.core.errors import Stopped

pytestmark = pytest.mark.slow

SHORT: dict[str, Any] = {"train": {"steps": 8, "save_every": 3}, "evaluate": {"every": 2, "patience": 9}}
TUNINGS: dict[str, Any] = {
    "sequential": {"name": "adapter", "kind": "sequential", "size": 8, "dropout": 0.2},
    "parallel": {"name": "adapter", "kind": "parallel", "size": 8},
    "residual": {"name": "adapter", "size": 8},
    "ia3": "ia3",
    "block_expansion": {"name": "block_expansion", "groups": 1},
    "plateau": {"name": "gradual_unfreeze", "by": "plateau", "every": 1},
}


@pytest.mark.parametrize("name", TUNINGS)
def test_stopped_and_resumed_is_straight(name: str, tmp_path: Path, chat_model: Path) -> None:
    expected = straight(tmp_path, chat_model, tuning=TUNINGS[name], **SHORT)
    path, root = tmp_path / "recipe.yaml", tmp_path / "runs"
    with pytest.raises(Stopped):
        affina.train(path, run="broken", root=root, say=Stopping(5))
    resumed = affina.train(path, run="broken", root=root)
    assert outcome(resumed) == expected
    assert all(each["passed"] for each in resumed.read("proofs.json")["findings"])


@pytest.mark.parametrize("trunk", ["memory", "off"])
def test_below_the_first_copy_the_trunk_is_kept_and_the_deeper_model_loads(
    trunk: str, tmp_path: Path, chat_model: Path
) -> None:
    """Two blocks and a copy of the second: blocks 0 and 1 are frozen."""
    sections = {**SHORT, "train": {**SHORT["train"], "compute": {"trunk": trunk, "precision": "float32"}}}
    straight(tmp_path, chat_model, tuning=TUNINGS["block_expansion"], **sections)
    folder = tmp_path / "runs" / "straight"
    assert affina.show("straight", root=tmp_path / "runs")["state"] == "finished"
    deeper = AutoModelForCausalLM.from_pretrained(folder / "model")
    assert deeper.config.num_hidden_layers == 3 == len(deeper.model.layers)
    assert deeper.model.layers[2].mlp.down_proj.weight.any()
    base = AutoModelForCausalLM.from_pretrained(chat_model)
    pairs = zip(base.model.layers.parameters(), deeper.model.layers[:2].parameters(), strict=True)
    assert all(torch.equal(own, kept) for own, kept in pairs)
