"""Lists in lists: one record for each innermost object, with what stands beside the lists on the way."""

import json
from pathlib import Path
from typing import Any

import pytest

from affina.core.errors import Refused
from affina.core.example import Question
from affina.core.kinds import Record, readers
from affina.core.recipe import Data
from affina.data.prepare import read_examples

SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Moon",
            "paragraphs": [
                {
                    "context": "Apollo 8 was first.",
                    "qas": [
                        {"id": "1", "question": "which?", "answers": [{"text": "Apollo 8", "answer_start": 0}]},
                        {"id": "2", "question": "when?", "answers": [], "is_impossible": True},
                    ],
                },
                {"context": "nobody asks", "qas": []},
            ],
        },
        {
            "title": "Sun",
            "paragraphs": [
                {
                    "context": "It is hot.",
                    "qas": [{"id": "3", "question": "how?", "answers": [{"text": "hot", "answer_start": 6}]}],
                }
            ],
        },
    ],
}


def read(folder: Path, text: str, **fields: Any) -> list[Record]:
    path = folder / "rows.json"
    path.write_text(text, encoding="utf-8")
    return list(readers.build({"name": "json", **fields}).records(path))


@pytest.mark.parametrize("indent", [None, 1])
def test_squad_is_one_record_per_question_with_its_context(tmp_path: Path, indent: int | None) -> None:
    found = read(tmp_path, json.dumps(SQUAD, indent=indent))
    assert [(each.values["id"], each.values["title"], each.values["context"]) for each in found] == [
        ("1", "Moon", "Apollo 8 was first."),
        ("2", "Moon", "Apollo 8 was first."),
        ("3", "Sun", "It is hot."),
    ]
    assert not any("version" in each.values or "qas" in each.values for each in found)
    lines = json.dumps(SQUAD, indent=indent).split("\n")
    at = [number for number, line in enumerate(lines) if '"id": "' in line]  # one-based: the line before, with {
    assert [each.line for each in found] == ([1, 1, 1] if indent is None else at)


def test_the_ledger_of_squad_counts_questions(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(SQUAD))
    found = read_examples(Data(read=["rows.json"]), tmp_path)
    totals = found.ledger.summary()
    assert (found.shape.name, totals["read"], totals["used"]["all"]) == ("squad", 3, 3)
    assert [each.id for each in found.examples["all"]] == ["rows.json:1", "rows.json:1.2", "rows.json:1.3"]
    answers = [each.answers for each in found.examples["all"] if isinstance(each, Question)]
    assert answers == [(("Apollo 8", 0),), (), (("hot", 6),)]


def test_a_way_may_be_given_for_lists_that_are_not_known(tmp_path: Path) -> None:
    text = json.dumps([{"who": "a", "n": 1, "said": [{"what": "x"}, {"what": "y", "n": 2}]}])
    found = read(tmp_path, text, each="[].said[]")
    assert [each.values for each in found] == [{"who": "a", "n": 1, "what": "x"}, {"who": "a", "n": 2, "what": "y"}]
    settled, _ = readers.build({"name": "json", "each": "[].said[]"}).look(tmp_path / "rows.json")
    assert list(settled.records(tmp_path / "rows.json")) == found


@pytest.mark.parametrize("each", ["data", "data[", "data[].", "data[]qas[]", "[][]", ""])
def test_a_way_is_keys_with_brackets(each: str) -> None:
    with pytest.raises(ValueError, match="each"):
        readers.build({"name": "json", "each": each})


@pytest.mark.parametrize(
    ("text", "each", "problem"),
    [
        ('{"data": [{"other": []}]}', "data[].qas[]", "it has no list 'qas'"),
        ('{"data": [{"qas": 3}]}', "data[].qas[]", "it has no list 'qas'"),
        ('{"data": [3]}', "data[].qas[]", "an object is expected"),
        ('{"data": [{"qas": [3]}]}', "data[].qas[]", "an object is expected"),
        ('{"other": []}', "data[].qas[]", "it has no list 'data'"),
        ('{"data": [{"a": 1, "a": 2, "qas": [{"b": 1}]}]}', "data[].qas[]", ""),
        ('{"data": [{"a": {"x": 1, "x": 2}, "qas": [{"b": 1}]}]}', "data[].qas[]", "the key 'x' stands twice"),
        ('{"data": [{"qas": [{"b": 1, "b": 2}]}]}', "data[].qas[]", "the key 'b' stands twice"),
        ('{"data": [{"a": "\\ud800", "qas": [{"b": 1}]}]}', "data[].qas[]", "half of a surrogate pair"),
        ('{"a": 1}', "[].qas[]", "a list is expected"),
    ],
)
def test_what_is_wrong_on_the_way_is_a_record_with_a_problem(
    tmp_path: Path, text: str, each: str, problem: str
) -> None:
    (found,) = read(tmp_path, text, each=each)
    assert problem in found.problem and bool(problem) == bool(found.problem)


def test_a_document_with_empty_lists_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no records"):
        read(tmp_path, '{"data": [{"paragraphs": [{"context": "a", "qas": []}]}]}')
