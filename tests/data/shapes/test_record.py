from pathlib import Path
from typing import Any

import pytest
from shared_data import shared

from affina.core.example import Labelled
from affina.core.kinds import Record, Unusable, shapes
from affina.core.recipe import Data
from affina.data.prepare import read_examples
from affina.data.recognise import shape_for

ROW = {"id": 7, "age": 41, "job": "cook", "note": "", "label": " yes "}


def only(values: dict[str, Any], **fields: Any) -> Labelled:
    example = shapes.build({"name": "record", **fields}).example(Record(values, "rows.csv", 1))
    assert isinstance(example, Labelled)
    return example


def test_every_column_that_is_filled_is_told_but_the_target_and_those_left_out() -> None:
    found = only(ROW, leave_out="id")
    assert (found.text, found.label) == ("age: 41\njob: cook", "yes")


def test_a_template_says_how_one_column_is_told() -> None:
    assert only(ROW, leave_out=["id", "age"], template="<{column}={value}>").text == "<job=cook>"


def test_a_template_may_be_the_whole_text() -> None:
    assert only(ROW, template="A {job} of {age}: {{job}").text == "A cook of 41: {cook"


def test_values_with_braces_stay_as_they_are() -> None:
    assert only({"job": "{value}", "label": "x"}).text == "job: {value}"


def test_a_template_without_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="names no column"):
        shapes.build({"name": "record", "template": "nothing"})


@pytest.mark.parametrize(
    ("values", "fields", "why"),
    [
        ({**ROW, "label": ""}, {}, "the label is empty"),
        ({"note": " ", "label": "x"}, {}, "every column of the text is empty"),
        (ROW, {"template": "{jop}"}, "no column 'jop'; did you mean 'job'"),
        ({**ROW, "job": ["cook"]}, {}, "holds a list"),
    ],
)
def test_a_record_that_cannot_be_told_says_why(values: dict[str, Any], fields: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        only(values, **fields)


def test_rows_of_two_columns_or_with_a_text_are_no_records() -> None:
    shape = shapes.build("record")
    two = [Record({"a": n, "y": n % 2}, "rows.csv", n) for n in range(8)]
    text = [Record({"a": n, "b": f"some words {n}", "y": n % 2}, "rows.csv", n) for n in range(8)]
    assert shape.recognise(two) is None and shape.recognise(text) is None


def test_the_rows_own_number_is_left_out() -> None:
    rows = [Record({"nr": n, "a": "ab"[n % 2], "b": f"{n}.5", "y": n % 3}, "rows.csv", n) for n in range(12)]
    shape, reason = shape_for(rows)
    assert shape.changed() == {"target": "y", "leave_out": ["nr"]}
    assert reason.endswith("; not used: 'nr'")


def test_a_real_table_is_told_column_by_column() -> None:
    path = str(shared("data", "bank_marketing", "bank_marketing_test_data.csv"))
    found = read_examples(Data(read=[path]), Path())
    assert (found.shape.name, found.labels) == ("record", ("no", "yes"))
    assert all(each.given.count("\n") == 19 for each in found.examples["all"])  # 20 columns besides `y`
