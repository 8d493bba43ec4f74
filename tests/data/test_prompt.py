import hashlib

import pytest

from affina.core.errors import Refused
from affina.data.prompt import FOLDER, names, prompt, written

VERSIONS = {
    "judge_pair@1": "3bad7a685a1e",
    "judge_points@1": "4a3746e921a4",
    "answer_en@1": "f3b9dea30d60",
    "answer_it@1": "6f5581382fc0",
    "answer_unread_en@1": "04ea416cd0d1",
    "answer_unread_it@1": "14e7f3984047",
    "draft@1": "024b69e18d7f",
    "feedback@1": "8305f7609de0",
    "format_answer_fields@1": "50cbd9c9df14",
    "format_answer_it@1": "fe8e64738fb4",
    "format_answer_plain@1": "a9fd79884ad3",
    "format_answer_question@1": "d50f8c9ae889",
    "format_instruction_fields@1": "eb0d1390c608",
    "format_instruction_it@1": "391382e6fd89",
    "format_instruction_plain@1": "1f9f7b66e0a3",
    "format_instruction_question@1": "724f604e51e8",
    "format_label_fields@1": "4a30170c245b",
    "format_label_it@1": "2fc724f23172",
    "format_label_plain@1": "dd5c36c556a6",
    "format_label_question@1": "9b90e570de6a",
    "input_first@1": "8bef84aa42a1",
    "instructions@1": "8908a60698f3",
    "is_classification@1": "53ff17aee34a",
    "judge@1": "a1607deefbe8",
    "output_first@1": "d42df4248796",
    "question_en@1": "c71fb46a45eb",
    "question_for_span_en@1": "f112ed72b68e",
    "question_for_span_it@1": "295e39bd4817",
    "question_it@1": "32e9988d0af5",
    "rewrite@1": "74157e0a2b47",
}


@pytest.mark.parametrize("name", names())
def test_a_prompt_of_the_library_says_what_it_is_for(name: str) -> None:
    found = prompt(name)
    assert found.version >= 1 and found.purpose and found.turns and found.language in ("en", "it")
    assert found.reference == f"{name}@{found.version}"
    assert {turn.role for turn in found.turns} <= {"user", "assistant", "system", "text"}
    assert all(turn.content == turn.content.removesuffix("\n") for turn in found.turns)
    assert found.places


def test_a_prompt_that_changed_has_another_version() -> None:
    """What rows were made with stays known: after a change raise the version in the file, then write its line here."""
    found = {
        f"{name}@{prompt(name).version}": hashlib.sha256((FOLDER / f"{name}.yaml").read_bytes()).hexdigest()[:12]
        for name in names()
    }
    assert found == VERSIONS


def test_only_the_prompts_own_places_are_filled() -> None:
    turns = prompt("rewrite").filled({"request": "a {answer}", "answer": "b {x}", "feedback": "{request}"})
    assert [turn.content for turn in turns[:2]] == ["a {answer}", "b {x}"]
    assert turns[2].content.startswith("{request}\n")


def test_what_cannot_be_filled_or_found_is_refused() -> None:
    with pytest.raises(Refused, match=r"nothing is given for answer, feedback"):
        prompt("rewrite").filled({"request": "a"})
    with pytest.raises(Refused, match=r"did you mean 'rewrite'\?"):
        prompt("rewrites")
    assert written("{a} and {b}").places == {"a", "b"}
