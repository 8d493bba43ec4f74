from typing import Any

import pytest
from shared_data import shared

from affina.core.example import Labelled
from affina.core.kinds import Record, Shape, Unusable, readers, shapes


def recognised(rows: list[dict[str, Any]]) -> Shape | None:
    records = [Record(row, "rows.csv", number) for number, row in enumerate(rows, 1)]
    match = shapes.build("labelled").recognise(records)
    return match[0] if match else None


def fields(shape: Shape | None) -> tuple[str, str] | None:
    return (shape.text, shape.label) if shape else None  # type: ignore[attr-defined]


@pytest.mark.parametrize("label", ["label", "Intent", "category", "airline_sentiment", "etichetta", "classe"])
def test_a_class_column_is_known_by_its_name(label: str) -> None:
    rows = [{"id": n, "note": f"some words {n}", label: "abc"[n % 3], "region": "xy"[n % 2]} for n in range(12)]
    assert fields(recognised(rows)) == ("note", label)


def test_a_class_column_is_known_by_values_that_repeat() -> None:
    rows = [{"column 1": "abc"[n % 3], "column 2": f"some words {n}"} for n in range(12)]
    assert fields(recognised(rows)) == ("column 2", "column 1")


@pytest.mark.parametrize("times", [2, 3, 10])
@pytest.mark.parametrize("numbered", [False, True])
def test_rows_that_stand_several_times_are_recognised_as_once(times: int, numbered: bool) -> None:
    rows = [{"note": f"some words {n}", "label": "abc"[n % 3]} for n in range(12)] * times
    rows = [{"id": f"{place}", **row} for place, row in enumerate(rows)] if numbered else rows
    assert fields(recognised(rows)) == ("note", "label")


def test_two_columns_that_repeat_are_not_decided_between() -> None:
    assert recognised([{"x": "ab"[n % 2], "y": "cd"[n // 6], "z": f"some words {n}"} for n in range(12)]) is None


def test_dates_and_amounts_that_repeat_are_no_classes() -> None:
    assert recognised([{"day": f"2003021{n % 2}", "headline": f"some words {n}"} for n in range(12)]) is None


def test_answers_that_repeat_are_no_classes() -> None:
    assert recognised([{"question": f"some words {n}", "answer": "ab"[n % 2]} for n in range(12)]) is None


def test_columns_without_text_are_not_recognised() -> None:
    assert recognised([{"age": n, "job": "ab"[n % 2], "label": "cd"[n % 2]} for n in range(12)]) is None


def test_labels_are_text_without_white_space_around_them() -> None:
    shape = shapes.build("labelled")
    found = [shape.example(Record({"text": "a", "label": label}, "rows.csv", 1)).target for label in (" x ", 3, True)]
    assert found == ["x", "3", "true"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"text": "a", "label": ""}, "the label is empty"),
        ({"text": " ", "label": "x"}, "the text is empty"),
        ({"text": "a", "label": None}, "the label is empty"),
        ({"text": "a", "label": ["x"]}, "holds a list"),
        ({"text": "a", "lable": "x"}, "did you mean 'lable'"),
        ("a", "no columns"),
    ],
)
def test_a_row_without_text_or_label_says_why(values: Any, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        shapes.build("labelled").example(Record(values, "rows.csv", 1))


@pytest.mark.parametrize(
    ("parts", "expected", "labels"),
    [
        (("sms_spam", "sms.tsv"), ("column 2", "column 1"), 2),
        (("sms_spam", "spam_kaggle_latin1.csv"), ("v2", "v1"), 2),
        (("banking77", "train.csv"), ("text", "category"), 77),
        (("ag_news_test", "test.csv"), ("column 3", "column 1"), 4),
        (("twitter_airline_sentiment", "Tweets.csv"), ("text", "airline_sentiment"), 3),
    ],
)
def test_real_files_are_recognised(parts: tuple[str, str], expected: tuple[str, str], labels: int) -> None:
    records = [each for each in readers.build("csv").records(shared("data", *parts)) if not each.problem]
    match = shapes.build("labelled").recognise(records[::10])
    assert match is not None and fields(match[0]) == expected
    examples = [match[0].example(record) for record in records]
    assert all(isinstance(example, Labelled) for example in examples)
    assert len({example.target for example in examples}) == labels


def test_two_texts_that_a_class_relates_are_told_in_two_lines() -> None:
    rows = [
        {"premise": f"A man {n} sleeps.", "hypothesis": f"He is {n} awake.", "label": "abc"[n % 3]} for n in range(9)
    ]
    shape = recognised(rows)
    assert fields(shape) == (("premise", "hypothesis"), "label")  # type: ignore[comparison-overlap]
    assert shape is not None
    example = shape.example(Record(rows[0], "rows.csv", 1))
    assert isinstance(example, Labelled)
    assert example.text == "premise: A man 0 sleeps.\nhypothesis: He is 0 awake."
    with pytest.raises(Unusable, match="the text is empty"):
        shape.example(Record({**rows[0], "hypothesis": " "}, "rows.csv", 1))


def test_a_sentence_as_a_tree_in_brackets_is_not_the_text() -> None:
    rows = [
        {"parse": f"(ROOT (S (NP a) (VP {n})))" * 3, "said": f"some words {n}", "label": "ab"[n % 2]} for n in range(8)
    ]
    assert fields(recognised(rows)) == ("said", "label")


def test_the_number_of_a_column_among_several_is_no_class() -> None:
    rows = [
        {"about": f"some words {n}", **{f"ans{m}": f"one {n} {m}" for m in range(3)}, "label": n % 3} for n in range(12)
    ]
    assert recognised(rows) is None


def test_one_single_value_that_repeats_is_no_class_unless_its_name_says_so() -> None:
    rows = [{"note": f"some words {n}", "user": "me"} for n in range(8)]
    assert recognised(rows) is None
    assert fields(recognised([{**row, "label": "me"} for row in rows])) == ("note", "label")


def test_values_that_happen_to_repeat_are_no_class_where_a_row_holds_lists_of_objects() -> None:
    rows = [{"note": f"some words {n}", "kind": "ab"[n % 2], "parts": [{"a": n}]} for n in range(8)]
    assert recognised(rows) is None
