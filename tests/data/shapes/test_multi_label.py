import ast
import csv
from typing import Any

import pytest
from shared_data import shared

from affina.core.example import MultiLabelled
from affina.core.kinds import Record, Unusable, readers, shapes
from affina.data.recognise import shape_for
from affina.data.several import items

SETS = ["x", "y", "x,y", "z", "y,z", "x,z", "x", "y"]


def rows(**columns: list[Any]) -> list[Record]:
    made = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return [Record({"text": f"some words {line}", **row}, "rows.csv", line) for line, row in enumerate(made, 1)]


def right(records: list[Record]) -> list[tuple[str, ...]]:
    shape, _ = shape_for(records)
    assert shape.name == "multi_label"
    examples = [shape.example(record) for record in records]
    return [example.right for example in examples if isinstance(example, MultiLabelled)]


@pytest.mark.parametrize("mark", [",", ";", "|"])
def test_a_delimited_column_is_divided_where_its_name_is_a_set(mark: str) -> None:
    expected = [tuple(each.split(",")) for each in SETS]
    assert right(rows(tags=[each.replace(",", mark) for each in SETS])) == expected


@pytest.mark.parametrize(
    "written",
    [
        lambda labels: labels,
        lambda labels: str(labels),
        lambda labels: str(labels).replace("'", '"'),
        lambda labels: str(labels).replace(",", ""),
        lambda labels: f"[{', '.join(labels)}]",
    ],
    ids=["list", "python", "json", "numpy", "bare"],
)
def test_lists_are_read_however_they_are_written(written: Any) -> None:
    expected = [tuple(each.split(",")) for each in SETS]
    assert right(rows(paper_tags=[written(each.split(",")) for each in SETS])) == expected


def test_columns_of_0_and_1_are_classes_called_like_the_column() -> None:
    assert right(rows(a=[0, 1, 0, 1], b=["0", "0", "1", "1"])) == [(), ("a",), ("b",), ("a", "b")]


def test_lists_without_a_name_for_labels_or_beside_other_lists_are_no_sets() -> None:
    sets = [each.split(",") for each in SETS]
    assert shape_for(rows(annotators=sets))[0].name == "raw"
    assert shape_for(rows(labels=sets, sections=[[f"part {one}" for one in each] for each in sets]))[0].name == "raw"


def test_one_class_of_a_name_is_no_set_although_there_are_flags() -> None:
    found, _ = shape_for(rows(category=["x", "y"] * 4, a=[0, 1] * 4, b=[0, 0, 1, 1] * 2))
    assert found.changed() == {"label": "category"}


def test_one_label_with_a_comma_in_it_is_no_set() -> None:
    assert shape_for(rows(label=["Business, Finance", "Sport"] * 4))[0].name == "labelled"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("['it\\'s', \"b\"]", ["it's", "b"]),
        ("[]", []),
        ("[1, 2]", [1, 2]),
        ('["\\u00e8"]', ["è"]),
        ("['a', ['b']]", None),
        ("['a'", None),
        ("['torn]", None),
        ("a, b", None),
        (3, None),
    ],
)
def test_a_list_in_a_cell_is_read_or_is_none(cell: Any, expected: Any) -> None:
    assert items(cell) == expected


@pytest.mark.parametrize(
    ("fields", "values", "why"),
    [
        ({}, {"text": "a", "labels": ""}, "the set of labels is empty"),
        ({}, {"text": " ", "labels": ["x"]}, "the text is empty"),
        ({}, {"text": "a", "labels": [["x"]]}, "holds a list where text is expected"),
        ({"labels": ["a", "b"]}, {"text": "a", "a": 1, "b": ""}, "'b' holds '' where 0 or 1 is expected"),
        ({"labels": ["a", "b"]}, {"text": "a", "a": 2, "b": 0}, "'a' holds '2' where 0 or 1 is expected"),
        ({"labels": ["a", "b"]}, {"text": "a", "a": 1}, "no column 'b'"),
    ],
)
def test_a_row_without_a_text_or_classes_says_why(fields: dict[str, Any], values: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        shapes.build({"name": "multi_label", **fields}).example(Record(values, "rows.csv", 1))


def test_a_single_column_may_be_written_without_a_list() -> None:
    assert shapes.build({"name": "multi_label", "labels": "tags"}) == shapes.build(
        {"name": "multi_label", "labels": ["tags"]}
    )


def test_real_lists_are_what_python_reads_in_them() -> None:
    path = shared("data", "arxiv_paper_multilabel", "test_data.csv")
    records = list(readers.build("csv").records(path))
    with path.open(encoding="utf-8", newline="") as file:
        expected = [tuple(sorted(set(ast.literal_eval(row["terms"])))) for row in csv.DictReader(file)]
    assert right(records) == expected


def test_real_columns_of_0_and_1_add_up() -> None:
    path = shared("data", "sentipolc16_it", "sentipolc16_officialdistrib_train.csv")
    records = list(readers.build("csv").records(path))
    with path.open(encoding="utf-8", newline="") as file:
        columns = list(csv.DictReader(file))
    found = right(records)
    for name in ("subj", "opos", "oneg", "iro"):
        assert sum(name in each for each in found) == sum(int(row[name]) for row in columns)
