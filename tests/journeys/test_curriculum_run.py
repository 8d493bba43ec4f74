"""A run that learns its rows in an order keeps to it, and is the same however often it is interrupted."""

import random
import signal
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from tiny import Heard, data, outcome, recipe, written

import affina
from affina.core.errors import Stopped
from affina.core.run import Run

pytestmark = pytest.mark.slow


class Stopping(Heard):
    """Interrupts when training reaches a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        if what == "training" and done == self.step:
            signal.raise_signal(signal.SIGINT)


def trained(
    folder: Path, base: Path, regime: Any, order: dict[str, Any], name: str, say: Any = None, read: str = "tickets.csv"
) -> Run:
    settings: dict[str, Any] = {
        "data": {"read": [read], "transforms": ["dedup", "split", {"name": "curriculum", **order}]},
        "regime": regime,
    }
    done: Run = affina.train(recipe(data(folder), base, read, **settings), run=name, root=folder / "runs", say=say)
    return done


def tokens(run: Run) -> list[float]:
    return [event["tokens"] for event in run.events("learn")]


def test_an_interrupted_run_that_grows_is_the_straight_one(tmp_path: Path, chat_model: Path) -> None:
    straight = trained(tmp_path, chat_model, "ordered", {}, "straight")
    for step in (3, 8):  # while the share grows, and after
        with pytest.raises(Stopped, match=f"stopped at step {step}"):
            trained(tmp_path, chat_model, "ordered", {}, "broken", say=Stopping(step))
    broken = trained(tmp_path, chat_model, "ordered", {}, "broken")
    assert outcome(broken) == outcome(straight) and tokens(broken) == tokens(straight)


def test_short_rows_are_learnt_first(tmp_path: Path, chat_model: Path) -> None:
    dice = random.Random(0)
    rows = [
        {
            "prompt": " ".join(str(dice.randrange(10**6)) for _ in range(1 + n % 8)),
            "completion": "yes" if n % 2 else "no",
        }
        for n in range(120)
    ]
    written(tmp_path, "numbers.jsonl", rows)
    given: Any = {"name": "ordered", "pace": "given"}
    found = tokens(trained(tmp_path, chat_model, given, {}, "short", read="numbers.jsonl"))[:10]
    assert mean(found[:3]) < mean(found[3:6]) < mean(found[6:9])
    turned = tokens(trained(tmp_path, chat_model, given, {"hardest_first": True}, "long", read="numbers.jsonl"))[:10]
    assert mean(turned[:3]) > mean(turned[3:6]) > mean(turned[6:9])


def test_what_the_base_finds_easy_is_learnt_first(tmp_path: Path, chat_model: Path) -> None:
    given: Any = {"name": "ordered", "pace": "given"}
    order = {"by": "loss", "model": str(chat_model)}
    heard = Heard()
    trained(tmp_path, chat_model, given, order, "easy", say=heard)
    assert any("curriculum: easiest first; nats per token" in line for line in heard.lines)
