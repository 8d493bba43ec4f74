from typing import Any

import pytest

from affina.core.example import Message, Rated
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


TURNS = [{"role": "user", "content": "which?"}, {"role": "assistant", "content": "this"}]


@pytest.mark.parametrize("label", [True, False, "True", "false"])
def test_a_conversation_and_whether_its_answer_is_good(label: object) -> None:
    rows = [Record({"messages": TURNS, "label": label}, "rows.jsonl", n) for n in range(1, 4)]
    shape, why = shape_for(rows)
    assert shape.name == "rated" and why == "rated: 'label' says whether the last answer of 'messages' is good"
    example = shape.example(rows[0])
    assert isinstance(example, Rated)
    assert example.value == float(str(label).lower() == "true")
    assert example.messages == (Message("user", "which?"), Message("assistant", "this"))
    assert example.text == "user: which?\n\nassistant: this"


def test_a_question_an_answer_and_whether_it_is_good() -> None:
    rows = [Record({"prompt": "which?", "completion": "this", "label": n % 2 == 0}, "rows.jsonl", n) for n in range(4)]
    shape, _ = shape_for(rows)
    assert shape.changed() == {"text": "prompt", "answer": "completion", "value": "label"}
    example = shape.example(rows[1])
    assert isinstance(example, Rated) and (example.value, len(example.messages)) == (0.0, 2)


def test_a_conversation_without_a_last_answer_is_unusable() -> None:
    shape = shapes.build({"name": "rated", "text": "messages", "value": "label"})
    with pytest.raises(Unusable, match="does not end with an answer"):
        shape.example(Record({"messages": TURNS[:1], "label": True}, "rows.jsonl", 1))
    with pytest.raises(Unusable, match="holds 'maybe' where a number"):
        shape.example(Record({"messages": TURNS, "label": "maybe"}, "rows.jsonl", 1))


def test_two_sentences_and_a_score_are_told_in_two_lines() -> None:
    pairs = [(f"A man {n} plays a flute.", f"Someone plays {n} flutes.", f"{n / 3:.2f}") for n in range(1, 9)]
    names = ("sentence1", "sentence2", "score")
    rows = [Record(dict(zip(names, each, strict=True)), "rows.csv", n) for n, each in enumerate(pairs, 1)]
    shape, _ = shape_for(rows)
    example = shape.example(rows[0])
    assert isinstance(example, Rated)
    assert example.text == "sentence1: A man 1 plays a flute.\nsentence2: Someone plays 1 flutes."
    assert example.value == 0.33
