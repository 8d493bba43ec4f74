"""A row that gives several examples: ids, the ledger, and that the split never parts them."""

import json
from pathlib import Path

from shared_data import shared

from affina.core.example import Chat
from affina.core.kinds import Record, shapes
from affina.core.recipe import Recipe
from affina.data.prepare import prepare
from affina.data.told import told

ROW = {"instruction": "Double it.", "instances": [{"input": str(n), "output": str(2 * n)} for n in range(1, 4)]}


def test_examples_of_one_row_have_ids_of_their_own_and_say_where_they_come_from() -> None:
    shape = shapes.build({"name": "alpaca", "instances": "instances"})
    found = list(told(shape, Record(ROW, "rows.jsonl", 7), "rows.jsonl:7"))
    assert [each.id for each in found] == ["rows.jsonl:7", "rows.jsonl:7+2", "rows.jsonl:7+3"]
    assert [each.made for each in found] == ["", "alpaca: number 2 of one row", "alpaca: number 3 of one row"]
    assert [each.origin for each in found] == ["", "rows.jsonl:7", "rows.jsonl:7"]
    assert [each.target for each in found] == ["2", "4", "6"]
    assert all(isinstance(each, Chat) for each in found)


def test_the_example_of_a_usual_row_is_the_shapes_own() -> None:
    record = Record({"text": "words"}, "rows.jsonl", 7)
    assert [*told(shapes.build("raw"), record, "rows.jsonl:7")] == [shapes.build("raw").example(record)]


def test_a_preparation_books_further_examples_as_made_and_keeps_a_row_on_one_side(tmp_path: Path) -> None:
    rows = [{**ROW, "instruction": f"Task {n}: {chr(97 + n % 26) * (5 + n)}"} for n in range(40)]
    (tmp_path / "tasks.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    data = {"read": ["tasks.jsonl"], "transforms": ["split"]}
    found = prepare(Recipe.build({"name": "tasks", "model": {"base": "none"}, "data": data}, tmp_path))
    totals = found.ledger.summary()
    assert (totals["read"], totals["made"], sum(totals["used"].values())) == (40, 80, 120)
    side = {each.id: split for split, held in found.examples.items() for each in held}
    assert all(side[each.origin] == side[each.id] for held in found.examples.values() for each in held if each.origin)
    assert len({*side.values()}) == 3


def test_all_ways_through_published_trees_are_prepared(tmp_path: Path) -> None:
    path = shared("data", "oasst_en_100_trees", "en_100_tree.jsonl")
    data = {"read": [str(path)], "shape": {"name": "tree", "give": "all"}, "transforms": ["split"]}
    found = prepare(Recipe.build({"name": "trees", "model": {"base": "none"}, "data": data}, tmp_path))
    totals = found.ledger.summary()
    assert totals["read"] == 100 and totals["made"] > 100
    assert sum(totals["used"].values()) == totals["read"] + totals["made"] - totals["quarantined"]["total"]
    assert all(isinstance(each, Chat) for held in found.examples.values() for each in held)
