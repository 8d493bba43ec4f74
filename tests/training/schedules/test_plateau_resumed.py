"""A schedule that heeds validation hears the same after an interruption: the same rates, the same weights."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tiny import data, outcome, recipe

import affina
from affina.core.errors import Stopped
from affina.core.run import Run
from affina.core.say import Silent

pytestmark = pytest.mark.slow

STUBBORN = {"name": "reduce_on_plateau", "warmup": 0.0, "patience": 1, "threshold": 0.9}  # no progress ever counts
SECTIONS: dict[str, Any] = {
    "train": {"schedule": STUBBORN, "steps": 12, "save_every": 3},
    "evaluate": {"every": 2, "patience": 9},
}


class Stopping(Silent):
    """Sends what Ctrl-C sends when training reaches a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        if what == "training" and done == self.step:
            signal.raise_signal(signal.SIGINT)


def rates(run: Run) -> list[float]:
    return [event["learning_rate"] for event in run.events("learn")]


def test_the_rate_falls_as_validation_says(tmp_path: Path, chat_model: Path) -> None:
    run = affina.train(recipe(data(tmp_path), chat_model, **SECTIONS), root=tmp_path / "runs")
    # The first validation, after step 2, is the best there is; each later one halves the rate of what follows.
    assert rates(run) == pytest.approx([0.01 * 0.5 ** max(0, (step - 1) // 2 - 1) for step in range(1, 13)])


@pytest.mark.parametrize("steps", [(5,), (4, 9)])
def test_stopped_and_resumed_it_has_the_same_rates(steps: tuple[int, ...], tmp_path: Path, chat_model: Path) -> None:
    path, root = recipe(data(tmp_path), chat_model, **SECTIONS), tmp_path / "runs"
    straight = affina.train(path, run="straight", root=root)
    for step in steps:
        with pytest.raises(Stopped):
            affina.train(path, run="broken", root=root, say=Stopping(step))
    broken = affina.train(path, run="broken", root=root)
    assert rates(broken) == rates(straight) and outcome(broken) == outcome(straight)


def test_what_was_heard_after_the_checkpoint_is_forgotten(tmp_path: Path, chat_model: Path) -> None:
    """Killed after the validation of step 8, with step 7 the last one saved: 8 is learnt and heard anew, once."""
    path, root = recipe(data(tmp_path), chat_model, **SECTIONS), tmp_path / "runs"
    straight = affina.train(path, run="straight", root=root)
    with pytest.raises(Stopped):
        affina.train(path, run="broken", root=root, say=Stopping(7))
    run = Run(root / "broken")
    with (run.folder / "events.jsonl").open("a", encoding="utf-8") as file:
        for kind in ("learn", "validate"):
            event = next(each for each in straight.events(kind) if each["step"] == 8)
            file.write(json.dumps(event) + "\n")
    broken = affina.train(path, run="broken", root=root)
    assert rates(broken) == rates(straight) and outcome(broken) == outcome(straight)


def test_a_metric_that_should_rise_is_heard_that_way(tmp_path: Path, chat_model: Path) -> None:
    train = {**SECTIONS["train"], "schedule": {**STUBBORN, "threshold": 0.0}}
    evaluate = {"every": 2, "patience": 9, "monitor": "accuracy"}
    sections = {"objective": "classify", "train": train, "evaluate": evaluate}
    run = affina.train(recipe(data(tmp_path), chat_model, **sections), root=tmp_path / "runs")
    best, expected, seen = -1.0, 0.01, {event["step"]: event["accuracy"] for event in run.events("validate")}
    found = []
    for step in range(1, 13):
        found.append(expected)
        if step in seen:
            expected, best = (expected, seen[step]) if seen[step] > best else (expected / 2, best)
    assert len({*seen.values()}) > 1
    assert rates(run) == pytest.approx(found)
