"""The law of shapes: what a shape recognises it can read, its columns are fields, and a row it cannot read says why."""

from typing import Any

import pytest

from affina.core.kinds import Record, Unusable, shapes
from affina.data.recognise import shape_for

ROWS: dict[str, dict[str, Any]] = {
    "prompt_completion": {"domanda": "dove?", "risposta": "qui"},
    "alpaca": {"instruction": "Say it.", "input": "it", "output": "it is said"},
    "messages": {"chat": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    "sharegpt": {"chat": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    "labelled": {"frase": "some words {}", "classe": "x"},
    "raw": {"passage": "some words"},
    "multi_label": {"frase": "some words {}", "etichette": ["x", "y"]},
    "rated": {"frase": "some words {}", "voto": "3.5"},
    "tagged": {"tokens": ["some", "words"], "ner_tags": ["O", "B-X"]},
    "parallel": {"en": "some words", "it": "alcune parole"},
    "squad": {"context": "some words", "question": "which?", "answers": {"text": ["words"], "answer_start": [5]}},
    "record": {"age": "{}.5", "job": "cook", "city": "Bari", "esito": "{half}"},
    "tree": {"root": {"role": "prompter", "text": "a", "replies": [{"role": "assistant", "text": "b", "replies": []}]}},
    "preference": {"prompt": "which?", "chosen": "this", "rejected": "that"},
    "related": {"query": "which?", "positive": "this one", "negative": "another"},
}


def records(name: str) -> list[Record]:
    """Four rows alike, but for what is numbered: a column that always says the same reads like no text."""
    rows = [
        {key: cell.format(line, half=line % 2) if isinstance(cell, str) else cell for key, cell in ROWS[name].items()}
        for line in range(1, 5)
    ]
    return [Record(row, "rows.jsonl", line) for line, row in enumerate(rows, 1)]


def test_every_shape_is_recognised_in_some_rows() -> None:
    assert sorted(ROWS) == shapes.names()


@pytest.mark.parametrize("name", shapes.names())
def test_a_shape_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = shapes.build(name)
    assert shapes.build(shapes.dump(part)) == part
    assert type(part).__doc__
    assert all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("name", ROWS)
def test_what_is_recognised_is_read_into_the_kind_it_makes(name: str) -> None:
    match = shapes.build(name).recognise(records(name))
    assert match is not None
    shape, reason = match
    assert reason.startswith(name)
    assert shapes.build(shapes.dump(shape)) == shape
    assert shape_for(records(name))[0] == shape
    example = shape.example(records(name)[0])
    assert type(example) is shape.makes
    assert example == shape.example(records(name)[0])


@pytest.mark.parametrize("name", shapes.names())
def test_nothing_is_recognised_in_nothing(name: str) -> None:
    assert shapes.build(name).recognise([]) is None


@pytest.mark.parametrize("values", [{}, {"unheard": 3}, {"text": {"deep": 1}, "label": []}, 3, None])
@pytest.mark.parametrize("name", shapes.names())
def test_a_row_that_cannot_be_read_is_unusable_with_a_reason(name: str, values: object) -> None:
    with pytest.raises(Unusable) as error:
        shapes.build(name).example(Record(values, "rows.jsonl", 1))
    assert str(error.value)
