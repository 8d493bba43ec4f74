"""The law every task keeps: documented, built from its spec and written back as it; those of banks ask every model the
same items, answer by item, and say the same again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import written

from affina.core.kinds import tasks
from affina.core.task import Hall
from affina.engine.toy import Toy
from affina.evaluation.tasked import differences, measured

ROWS = [
    {
        "question": f"q {n}",
        "text": f"t {n}",
        "answer": "ab"[n % 2],
        "options": ["a", "b"],
        "label": "xy"[n % 2],
        "who": n % 3,
    }
    for n in range(9)
]
BANKS: dict[str, dict[str, Any]] = {
    "exact_match": {},
    "multiple_choice": {},
    "generation": {},
    "classification": {},
    "judged": {"judge": "toy"},
}
bank = pytest.mark.parametrize("name", BANKS)


def built(name: str, folder: Path) -> Any:
    written(folder, "bank.jsonl", ROWS)
    return tasks.build({"name": name, "data": "bank.jsonl", "by": "who", **BANKS[name]})


@pytest.mark.parametrize("name", tasks.names())
def test_a_task_and_every_field_of_it_is_documented(name: str) -> None:
    kind = tasks.find(name)
    assert kind.__doc__ and all(field.description for field in kind.model_fields.values())


@bank
def test_a_bank_is_written_back_as_it_was_built(name: str, tmp_path: Path) -> None:
    task = built(name, tmp_path)
    assert task.name == name and tasks.build(tasks.dump(task)) == task


@bank
def test_every_item_is_answered_in_order_and_the_same_again(name: str, tmp_path: Path) -> None:
    task, hall = built(name, tmp_path), Hall(folder=tmp_path, open=lambda reference: Toy())
    one, two = task.ask(Toy(), hall), task.ask(Toy(), hall)
    assert one.ids == two.ids == tuple(f"bank.jsonl:{line}" for line in range(1, 10))
    assert len(one.shown) == 9 and all(len(groups) == 9 for groups in one.slices.values()) and "who" in one.slices
    for column, values_N in one.columns.items():
        assert values_N.dtype == np.float64 and np.array_equal(values_N, two.columns[column], equal_nan=True)


@bank
def test_statistics_are_computed_from_the_columns_and_a_model_equals_itself(name: str, tmp_path: Path) -> None:
    task = built(name, tmp_path)
    found = task.ask(Toy(), Hall(folder=tmp_path, open=lambda reference: Toy()))
    numbers = measured(found, task, 0.05, 0)
    assert list(numbers) == list(task.statistics())
    for one in differences(found, found, task, 0.05, 0.8, 0).values():
        assert one.value == 0 or not one.comparable
