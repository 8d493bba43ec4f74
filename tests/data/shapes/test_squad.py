from pathlib import Path
from typing import Any

import pytest
from shared_data import shared

from affina.core.example import Question
from affina.core.kinds import Record, Unusable, shapes
from affina.core.recipe import Data
from affina.data.prepare import read_examples
from affina.data.recognise import shape_for

CONTEXT = "Apollo 8 was the first to orbit the Moon."


def only(row: dict[str, Any]) -> Question:
    records = [Record({"context": CONTEXT, "question": "which?", **row}, "rows.json", line) for line in range(1, 4)]
    shape, _ = shape_for(records)
    assert shape.name == "squad"
    example = shape.example(records[0])
    assert isinstance(example, Question)
    return example


@pytest.mark.parametrize(
    "row",
    [
        {"answers": {"text": ["Apollo 8", "Apollo 8"], "answer_start": [0, 0]}},
        {"answers": [{"text": "Apollo 8", "answer_start": 0}]},
        {"answers": [{"text": "Apollo 8", "span": [0, 8]}]},
        {"answer": "Apollo 8", "answer_start": "0"},
        {
            "context": [{"text": CONTEXT}],
            "question": {"text": "which?"},
            "answers": [{"text": "Apollo 8", "span": [0, 8]}],
        },
    ],
    ids=["columns", "objects", "spans", "flat", "jack"],
)
def test_every_way_to_write_an_answer_gives_the_same_question(row: dict[str, Any]) -> None:
    found = only(row)
    assert (found.question, found.context, found.answers) == ("which?", CONTEXT, (("Apollo 8", 0),))


def example(answers: Any) -> Question:
    made = shapes.build("squad").example(
        Record({"context": CONTEXT, "question": "which?", "answers": answers}, "rows.json", 1)
    )
    assert isinstance(made, Question)
    return made


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([{"text": "the Moon", "answer_start": 3}], "does not stand at 3 of the context: it stands at 32"),
        ([{"text": "the Sun", "answer_start": 3}], "it stands nowhere in it"),
        ([{"text": "Apollo 8", "answer_start": -1}], "does not stand at -1"),
        ([{"text": "Apollo 8", "span": [0, 9]}], r"the span \[0, 9\] of the answer"),
        ([{"text": "", "answer_start": 0}], "an answer has no text"),
        ([{"text": "Apollo 8"}], "does not say where it begins"),
        ({"text": ["Apollo 8"], "answer_start": []}, "not as many texts as beginnings"),
        (["Apollo 8"], "not an object"),
        ("", "the answer is empty"),
        (None, "the answer is empty"),
    ],
)
def test_an_answer_must_stand_where_it_is_said_to(answers: Any, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        example(answers)


@pytest.mark.parametrize("answers", [[], {"text": [], "answer_start": []}])
def test_no_answers_are_a_question_that_the_context_does_not_answer(answers: Any) -> None:
    found = example(answers)
    assert (found.answers, found.target) == ((), "")


def test_a_context_of_several_texts_is_not_read() -> None:
    row = {"context": [{"text": "a"}, {"text": "b"}], "question": "?", "answers": [{"text": "a", "answer_start": 0}]}
    with pytest.raises(Unusable, match="the context is 2 texts"):
        shapes.build("squad").example(Record(row, "rows.json", 1))


def test_real_questions_of_the_jack_format_all_have_their_answers_in_place() -> None:
    found = read_examples(Data(read=[str(shared("data", "squad_sample_jack_format", "train.json"))]), Path())
    totals = found.ledger.summary()
    assert (found.shape.name, totals["read"], totals["used"]["all"]) == ("squad", 515, 515)
    questions = [each for each in found.examples["all"] if isinstance(each, Question)]
    assert all(each.context[start : start + len(text)] == text for each in questions for text, start in each.answers)
    assert len({each.context for each in questions}) == 100


def test_an_answer_without_a_place_is_wherever_its_text_stands() -> None:
    shape = shapes.build({"name": "squad", "start": ""})
    row = {"context": "It is red, so red.", "question": "which?", "answers": ["red"]}
    found = shape.example(Record(row, "rows.json", 1))
    assert isinstance(found, Question) and found.answers == (("red", 6), ("red", 14))
    with pytest.raises(Unusable, match="'blue' stands nowhere in the context"):
        shape.example(Record({**row, "answers": "blue"}, "rows.json", 1))
    with pytest.raises(Unusable, match="an answer has no text"):
        shape.example(Record({**row, "answers": [" "]}, "rows.json", 1))


def test_white_space_around_an_answer_is_none_of_it() -> None:
    """No token begins or ends there: the answer would be found in no row."""
    found = example([{"text": " the Moon", "answer_start": 31}, {"text": "the Moon", "answer_start": 32}])
    assert found.answers == (("the Moon", 32),)
