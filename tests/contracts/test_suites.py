"""The law of suites: each gives every item its columns, the same twice, and its statistics are numbers of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affina.core import task as records
from affina.core.example import Chat, Example, Message
from affina.core.kinds import Desk, tasks, transforms
from affina.core.task import Hall, Task
from affina.data.ledger import Ledger
from affina.engine.toy import Toy
from affina.evaluation.tasked import differences, measured

READ: dict[str, dict[str, Any]] = {
    "canary_exposure": {"candidates": 100, "controls": 5},
    "extraction": {"continuation": 8},
    "generated_overlap": {"n": 2, "max_tokens": 16},
    "instructions": {"max_tokens": 8},
    "knowledge": {},
    "neutral_text": {},
    "perturbed": {"max_tokens": 8},
    "preferred_replies": {"read": ["pairs.jsonl"]},
    "refusals": {"max_tokens": 8},
    "supported": {"read": ["sources.jsonl"], "entailment": "nli", "max_tokens": 16},
}
"""What each needs beside its defaults."""
PAIRS = [{"prompt": f"Question {n} of many?", "chosen": f"yes, {n}", "rejected": f"no, not {n}"} for n in range(6)]
SOURCES = [{"source": f"Anna has {n} mills.", "question": "How many?"} for n in range(3)]


def chats(split: str) -> list[Example]:
    return [
        Chat(
            id=f"{split}:{n}",
            split=split,
            messages=(
                Message("user", f"Where is parcel {n}?"),
                Message("assistant", f"the courier has parcel {n} now"),
            ),
        )
        for n in range(6)
    ]


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    for name, rows in (("pairs.jsonl", PAIRS), ("sources.jsonl", SOURCES)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    step = transforms.build({"name": "canaries", "length": 3, "count": 1})
    train = list(step.apply(chats("train"), Desk(Ledger())))
    splits = {"train": train, "test": chats("test")}
    return Hall(seed=3, folder=tmp_path, open=lambda reference: Toy(labels=3), splits=splits)


def ready(name: str) -> Task:
    return tasks.build({"name": name, **READ[name]})


def answered(name: str, hall: Hall) -> records.Tested:
    return ready(name).ask(Toy(16384), hall)


@pytest.mark.parametrize("name", READ)
def test_a_suite_builds_from_defaults_and_round_trips(name: str) -> None:
    for part in (tasks.build(name), ready(name)):
        assert tasks.build(tasks.dump(part)) == part
        assert part.costs in ("scores", "answers", "vectors")


@pytest.mark.parametrize("name", READ)
def test_every_item_has_a_number_or_nan_in_every_column_and_a_group_in_every_slice(name: str, hall: Hall) -> None:
    found = answered(name, hall)
    assert len(found) > 1 and len({*found.ids}) == len(found)
    for column in found.columns.values():
        assert column.shape == (len(found),) and column.dtype == np.float64
        assert not np.isinf(column).any()
    assert all(len(groups) == len(found) for groups in found.slices.values())
    assert len(found.shown) == len(found)
    json.dumps([dict(each) for each in found.shown])


@pytest.mark.parametrize("name", READ)
def test_statistics_are_numbers_of_the_columns_and_a_named_column_is_their_mean(name: str, hall: Hall) -> None:
    found, statistics = answered(name, hall), ready(name).statistics()
    assert statistics
    for each in statistics.values():
        value = each.value(found.columns)
        assert isinstance(value, float) and each.unit
        if each.column:
            column = found.columns[each.column]
            assert value == pytest.approx(
                column[~np.isnan(column)].mean() if (~np.isnan(column)).any() else np.nan, nan_ok=True
            )


@pytest.mark.parametrize("name", READ)
def test_the_same_model_gives_the_same_twice_and_the_items_are_the_same_for_every_model(name: str, hall: Hall) -> None:
    one, again = answered(name, hall), answered(name, hall)
    assert one.ids == again.ids and one.shown == again.shown
    for column, values in one.columns.items():
        np.testing.assert_array_equal(values, again.columns[column])
    other = Toy(16384)
    other.pairs_VV[:, 97:123] += 1.0
    assert {*ready(name).ask(other, hall).ids} == {*one.ids} and ready(name).ask(
        other, hall
    ).columns.keys() == one.columns.keys()


@pytest.mark.parametrize("name", READ)
def test_progress_is_told_up_to_the_end(name: str, hall: Hall) -> None:
    heard: list[tuple[str, int, int]] = []
    answered(name, replace(hall, progress=lambda *said: heard.append(said)))
    assert heard and heard[-1][1] == heard[-1][2]
    assert all(done <= total for _, done, total in heard)


@pytest.mark.parametrize("name", READ)
def test_a_suite_is_measured_and_compared_by_item(name: str, hall: Hall) -> None:
    task, other = ready(name), Toy(16384)
    other.pairs_VV[:, 97:123] += 1.0
    before, after = answered(name, hall), task.ask(other, hall)
    found, same = measured(after, task, 0.05, 0), differences(after, after, task, 0.05, 0.8, 0)
    for statistic, each in task.statistics().items():
        assert found[statistic].value == pytest.approx(each.value(after.columns), nan_ok=True)
        assert same[statistic].value in (0, pytest.approx(np.nan, nan_ok=True))  # NaN where no item speaks
    assert differences(before, after, task, 0.05, 0.8, 0).keys() == found.keys()
