"""Penalties, noise, dropout, averages and weighed losses on whole runs: resumed to the bit, released as measured."""

from pathlib import Path
from typing import Any

import pytest
from test_resume import Stopping
from tiny import data, outcome, recipe, words_base

import affina
from affina.core.errors import Refused, Stopped

pytestmark = pytest.mark.slow

WORDS: dict[str, Any] = {
    "tuning": {"name": "lora", "rank": 4, "dropout": 0.2},
    "model": {"noise": "neftune", "dropout": {"attention": 0.1}},
    "objective": {"name": "cross_entropy", "label_smoothing": 0.1, "class_weights": "balanced"},
    "penalties": ["l2_sp", {"name": "r_drop", "alpha": 0.5}],
    "train": {"accumulate": 2},
    "evaluate": {"averaging": {"name": "ema", "decay": 0.8}},
}
LABELS: dict[str, Any] = {
    "model": {"dropout": {"head": 0.2}},
    "objective": {"name": "classify", "focal": 1.0, "class_weights": {"refund": 2.0}},
    "penalties": ["r_drop"],
    "evaluate": {"averaging": {"name": "swa", "start": 0.3, "every": 2}},
}
MASKED: dict[str, Any] = {
    "read": "prose.txt",
    "data": {"reader": {"name": "text", "by": "paragraph"}},
    "model": {"dropout": {"hidden": 0.1}},
    "objective": {"name": "masked_lm", "whole_words": True},
    "tuning": {"name": "gradual_unfreeze", "every": 3},
    "penalties": ["r_drop"],
    "train": {"accumulate": 2},
    "evaluate": {"averaging": {"name": "ema", "decay": 0.8}},
}


@pytest.mark.parametrize(
    ("sections", "steps"),
    [(WORDS, (7,)), (LABELS, (5,)), (MASKED, (2, 5))],
    ids=["words", "labels", "masked and unfrozen by and by"],
)
def test_stopped_and_resumed_is_straight_and_what_is_released_is_what_was_measured(
    sections: dict[str, Any], steps: tuple[int, ...], tmp_path: Path, chat_model: Path
) -> None:
    base = words_base(tmp_path / "base", "bert") if sections is MASKED else chat_model
    path, root = recipe(data(tmp_path), base, **sections), tmp_path / "runs"
    straight = affina.train(path, run="straight", root=root)
    for step in steps:
        with pytest.raises(Stopped):
            affina.train(path, run="broken", root=root, say=Stopping(step))
    assert outcome(affina.train(path, run="broken", root=root)) == outcome(straight)
    learnt = straight.events("learn")
    assert all(event["r_drop"] > 0 and event["loss"] > event["r_drop"] for event in learnt)
    result = straight.read("result.json")
    best = next(event for event in straight.events("validate") if event["step"] == result["best_step"])
    assert best["loss"] == min(event["loss"] for event in straight.events("validate"))
    again = affina.evaluate("straight", root=root)["metrics"]
    for name, found in result["metrics"].items():
        assert again[name]["value"] == pytest.approx(found["tuned"], rel=1e-6)
    locked = straight.read("lock.json")["recipe"]
    assert [each["name"] for each in locked["penalties"]] == [
        each if isinstance(each, str) else each["name"] for each in sections["penalties"]
    ]
    assert locked["evaluate"]["averaging"]["name"] == sections["evaluate"]["averaging"]["name"]


def test_other_penalties_are_another_recipe(tmp_path: Path, chat_model: Path) -> None:
    root = tmp_path / "runs"
    with pytest.raises(Stopped):
        affina.train(recipe(data(tmp_path), chat_model, penalties=["l2_sp"]), root=root, say=Stopping(2))
    with pytest.raises(Refused, match=r"begun with another recipe.*penalties"):
        affina.train(recipe(tmp_path, chat_model, penalties=[{"name": "l2_sp", "alpha": 0.2}]), root=root)


def test_r_drop_without_dropout_leaves_no_run_behind(tmp_path: Path, chat_model: Path) -> None:
    path, root = recipe(data(tmp_path), chat_model, penalties=["r_drop"]), tmp_path / "runs"
    with pytest.raises(Refused, match="compares two draws of dropout"):
        affina.train(path, root=root)
    assert not (root / "tiny").exists()
