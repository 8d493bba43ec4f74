from typing import Any

import pytest

from affina.core.example import Rated
from affina.core.kinds import Record, Unusable, shapes
from affina.data.recognise import shape_for


def rows(**columns: list[Any]) -> list[Record]:
    made = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return [Record({"review": f"some words {line}", **row}, "rows.csv", line) for line, row in enumerate(made, 1)]


def values(records: list[Record]) -> list[float]:
    shape, _ = shape_for(records)
    assert shape.name == "rated"
    examples = [shape.example(record) for record in records]
    return [example.value for example in examples if isinstance(example, Rated)]


@pytest.mark.parametrize("name", ["rating", "Score", "stars", "voto", "punteggio"])
def test_a_number_is_known_by_its_name_whole_or_not(name: str) -> None:
    assert values(rows(**{name: [1, 2, "3", "4.5", 1, 2]})) == [1, 2, 3, 4.5, 1, 2]


def test_a_label_of_fractions_is_a_number_even_where_it_repeats() -> None:
    assert values(rows(label=["0.25", "3.75"] * 4)) == [0.25, 3.75] * 4


def test_a_label_of_whole_numbers_is_a_class() -> None:
    assert shape_for(rows(label=["1", "2.0"] * 4))[0].name == "labelled"


def test_a_class_beside_a_score_is_what_is_learnt() -> None:
    assert shape_for(rows(label=["a", "b"] * 4, score=[0.5, 0.75] * 4))[0].name == "labelled"


def test_decimal_commas_are_found() -> None:
    assert values(rows(voto=["3,5", "4", "10,25"])) == [3.5, 4, 10.25]


def test_of_two_texts_without_a_name_none_is_rated() -> None:
    records = [Record({"one": f"some words {n}", "two": f"other words {n}", "score": n}, "a.csv", n) for n in range(8)]
    assert shapes.build("rated").recognise(records) is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "the number is empty"),
        ("good", "holds 'good' where a number is expected"),
        ("nan", "holds 'nan'"),
        ("1e999", "holds '1e999'"),
        ("1,5", "holds '1,5'"),
        (True, "holds 'true'"),
        (None, "the number is empty"),
        ([1], "holds a list"),
    ],
)
def test_what_is_no_number_says_so(value: Any, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        shapes.build("rated").example(Record({"text": "a", "value": value}, "rows.csv", 1))
