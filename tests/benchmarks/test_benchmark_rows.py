"""Which rows a benchmark trains on: each once, the same ones as other tools, the held-out ones never among them."""

import random
from pathlib import Path

import pytest
import workload

from affina.core.recipe import Recipe
from affina.data.prepare import prepare


def conversations(count: int) -> list[workload.Turns]:
    return [[("user", f"question {number}"), ("assistant", f"answer {number}")] for number in range(count)]


def test_length_grouped_batches_hold_neighbours_by_length_and_no_row_twice() -> None:
    lengths = [random.Random(number).randrange(10, 500) for number in range(100)]
    order = workload.grouped(lengths, batch=4, steps=10)
    assert len(order) == 40 and len({*order}) == 40
    ranked = sorted(lengths)
    for start in range(0, 40, 4):
        batch = sorted(lengths[place] for place in order[start : start + 4])
        assert any(batch == ranked[first : first + 4] for first in range(0, 100, 4))


def test_a_pool_is_fifty_batches() -> None:
    order = workload.grouped([*range(1000)], batch=2, steps=50)
    assert sorted(order) == [*range(100)]


def test_the_product_trains_on_exactly_the_rows_that_were_settled(tmp_path: Path, own_path: None) -> None:
    training, held = conversations(9)[:5], conversations(9)[5:]
    workload.write(tmp_path / "rows.jsonl", training, held)
    workload.offer_held_out(tmp_path)
    split = {"name": "held_out", "training": 5, "validation": 3}
    data = {"read": ["rows.jsonl"], "transforms": [split]}
    recipe = Recipe.build({"name": "x", "model": {"base": "a"}, "data": data}, tmp_path)
    splits = prepare(recipe.change({"train.batch": 2})).examples
    said = {name: [example.target for example in each] for name, each in splits.items()}
    assert said["train"] == [f"answer {number}" for number in range(5)]
    assert said["validation"] == [f"answer {number}" for number in range(5, 8)]
    assert said["test"] == ["answer 8"]


def test_held_out_rows_are_the_same_however_long_the_run_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "turns", lambda data: conversations(60))
    short, long = (workload.arguments("x").parse_args(["--batch=2", f"--steps={steps}"]) for steps in (3, 20))
    (few, held), (many, kept) = (workload.chosen(given, Path()) for given in (short, long))
    assert held == kept == conversations(60)[-8:]
    assert few == many[:10] and len(many) == 44
    with pytest.raises(SystemExit, match="54 rows are needed and gsm has 52"):
        workload.chosen(workload.arguments("x").parse_args(["--batch=2", "--steps=25"]), Path())


def test_a_grown_workload_has_as_many_rows_as_asked_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "turns", lambda data: conversations(30))
    given = workload.arguments("x").parse_args(["--batch=2", "--steps=3", "--rows=100"])
    training, held = workload.chosen(given, Path())
    assert len(training) == 100 == len({each[0][1] for each in training})
    assert training[:22] == conversations(30)[:22] and held == conversations(30)[-8:]
    assert training[22] == [("user", "1. question 0"), ("assistant", "answer 0")]
