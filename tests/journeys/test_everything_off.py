"""A run with every switch of speed off is the run with every one on, and says what it goes without."""

from pathlib import Path
from typing import Any

import pytest
from tiny import Heard, data, recipe

import affina
from affina.core.kinds import Sampling
from affina.core.run import Run
from affina.evaluation.open import open_model

OFF: dict[str, Any] = {
    "packing": "off", "head": "everywhere", "ahead": 0, "kernels": "off", "compile": "off", "checkpoint": "off",
    "trunk": "off", "precision": "float32",
}  # fmt: skip
ON: dict[str, Any] = {"precision": "float32"}


def trained(folder: Path, base: Path, compute: dict[str, Any]) -> tuple[Run, Heard]:
    heard = Heard()
    path = recipe(data(folder), base, read="chats.jsonl", train={"steps": 6, "batch": 4, "seed": 1, "compute": compute})
    return affina.train(affina.Recipe.load(path), run="tiny", root=folder / "runs", say=heard), heard


def test_everything_off_is_everything_on(tmp_path: Path, chat_model: Path) -> None:
    (plain, said), (fast, unsaid) = (
        trained(tmp_path / name, chat_model, how) for name, how in (("off", OFF), ("on", ON))
    )
    assert [line for line in said.lines if line.startswith("packing is off: rows of similar length are padded")]
    assert not any("packing is off" in line for line in unsaid.lines)
    losses = [[event["loss"] for event in run.events("learn")] for run in (plain, fast)]
    assert len(losses[0]) == 6
    assert losses[0] == pytest.approx(losses[1], abs=2e-5)
    assert plain.events("validate")[-1]["loss"] == pytest.approx(fast.events("validate")[-1]["loss"], abs=2e-5)
    answers = []
    for name in ("off", "on"):
        opened = open_model("tiny", tmp_path / name / "runs", offline=True, say=Heard())
        prompt = opened.model.renderer.continued("Please send me")
        answers.append(opened.model.sample([prompt], Sampling(max_tokens=8))[0].text)
    assert answers[0] == answers[1]
