"""What a model writes beside right answers: normal forms, several right ones, answers found by an expression."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from tiny import written
from tiny_models import Scripted

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall, Tested


def asked(folder: Path, says: str, right: object, **settings: object) -> Tested:
    written(folder, "bank.jsonl", [{"question": "q", "answer": right}])
    task = tasks.build({"name": "exact_match", "data": "bank.jsonl", **settings})
    return task.ask(Scripted(lambda prompt: says), Hall(folder=folder))


@pytest.mark.parametrize(
    ("says", "right", "settings", "correct"),
    [
        ("The Eiffel Tower.", "eiffel tower", {}, 1),
        ("Eiffel", ["tower", "eiffel"], {}, 1),
        ("Eiffel", '["tower", "eiffel"]', {}, 1),
        ("", "a", {}, 0),  # both are nothing without their articles
        ("Paris", "paris", {"normalise": "none"}, 0),
        ("so it is 1,234.0 in all", "x = 1234", {"normalise": "number"}, 1),
        ("none", "7", {"normalise": "number"}, 0),
        ("first #### 3 then #### 18", "3 * 6 #### 18", {"extract": "#### (.+?)(?: then|$)"}, 1),
        ("it is 18", "18", {"extract": "#### (.+)"}, 0),
    ],
)
def test_an_answer_is_right_where_its_form_is_that_of_a_right_one(
    tmp_path: Path, says: str, right: object, settings: dict[str, str], correct: int
) -> None:
    assert asked(tmp_path, says, right, **settings).columns["right"].tolist() == [correct]


def test_words_in_common_count_even_where_the_answer_is_wrong(tmp_path: Path) -> None:
    # the nearest right answer: 2 of 2 and 3 words, 2·2 / 5
    found = asked(tmp_path, "red house", ["green", "big red house"])
    assert found.columns["f1"] == pytest.approx([0.8]) and found.columns["right"].tolist() == [0]


def test_words_in_common_are_those_of_what_the_expression_finds(tmp_path: Path) -> None:
    found = asked(tmp_path, "well #### 18 cents", "because of this and that #### 18 euros", extract="#### (.+)")
    assert found.columns["f1"] == pytest.approx([0.5])  # 18 of two words each


def test_answers_without_a_letter_and_without_a_match_are_told(tmp_path: Path) -> None:
    found = asked(tmp_path, " ", "x", extract="#### (.+)")
    assert found.notes == ("1 of 1 answers are empty",) and found.columns["found"].tolist() == [0]
    with pytest.raises((ValidationError, ValueError), match="no regular expression"):
        tasks.build({"name": "exact_match", "data": "x", "extract": "("})


def test_prompts_are_filled_from_columns_and_system_messages_stand_before(tmp_path: Path) -> None:
    written(tmp_path, "bank.jsonl", [{"a": "2", "b": {"c": "3"}, "answer": "{b.c}"}])
    seen: list[str] = []

    def says(prompt: str) -> str:
        seen.append(prompt)
        return "{b.c}"

    settings = {"data": "bank.jsonl", "prompt": "{a} + {b.c}?", "system": "be short", "normalise": "none"}
    found = tasks.build({"name": "exact_match", **settings}).ask(Scripted(says), Hall(folder=tmp_path))
    assert seen == ["system: be shortuser: 2 + 3?assistant: "] and found.columns["right"].tolist() == [1]


def test_a_right_answer_without_a_number_makes_no_answer_wrong(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the right answer 'five' holds no number"):
        asked(tmp_path, "5", "five", normalise="number")
    assert asked(tmp_path, "5", ["five", "5"], normalise="number").columns["right"].tolist() == [1]
