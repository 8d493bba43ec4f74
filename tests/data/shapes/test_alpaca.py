from typing import Any

import pytest

from affina.core.example import Chat, Message
from affina.core.kinds import Record, Unusable, shapes


def messages(values: dict[str, Any]) -> tuple[Message, ...]:
    example = shapes.build("alpaca").example(Record(values, "rows.json", 1))
    assert isinstance(example, Chat)
    return example.messages


def test_the_user_says_the_instruction_a_blank_line_and_the_input() -> None:
    row = {"instruction": "Correct this.", "input": "He go.", "output": "He goes."}
    assert messages(row) == (Message("user", "Correct this.\n\nHe go."), Message("assistant", "He goes."))
    assert messages({**row, "input": ""})[0].content == "Correct this."
    assert messages({"instruction": "Hi.", "output": "Hello."})[0].content == "Hi."


def test_a_system_prompt_and_earlier_turns_come_first() -> None:
    row = {"instruction": "And now?", "output": "Later.", "system": "Be brief.", "history": [["When?", "Soon."]]}
    assert [(message.role, message.content) for message in messages(row)] == [
        ("system", "Be brief."),
        ("user", "When?"),
        ("assistant", "Soon."),
        ("user", "And now?"),
        ("assistant", "Later."),
    ]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"instruction": "x", "output": " "}, "the output is empty"),
        ({"instruction": "", "output": "x"}, "the instruction is empty"),
        ({"instruction": "x"}, "no column 'output'"),
        ({"instruction": "x", "output": "y", "history": ["z"]}, "pairs"),
        ({"instruction": ["x"], "output": "y"}, "holds a list"),
    ],
)
def test_a_row_without_a_question_or_an_answer_says_why(values: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        messages(values)
