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


def recognised(row: dict[str, Any]) -> tuple[Any, str] | None:
    records = [Record({**row, "id": n}, "rows.json", n) for n in range(1, 5)]
    return shapes.build("alpaca").recognise(records)


def test_a_question_what_it_is_about_and_its_answer_are_recognised_whatever_holds_them() -> None:
    row = {
        "question": "How much?",
        "table": {"uid": "t", "table": [["", "2019"], ["Sales", "7"]]},
        "paragraphs": [{"text": "One part."}, {"text": "Another."}],
        "answer": ["7", "in 2019"],
    }
    match = recognised(row)
    assert match is not None
    shape, why = match
    assert shape.changed() == {"instruction": "question", "input": ["table", "paragraphs"], "output": "answer"}
    assert why == "alpaca: columns 'question', 'table', 'paragraphs', 'answer'"
    found = shape.example(Record(row, "rows.json", 1)).messages
    assert found[0].content == "How much?\n\n | 2019\nSales | 7\n\nOne part.\n\nAnother."
    assert found[1].content == "7, in 2019"


def test_answers_that_say_where_they_begin_are_none_in_words() -> None:
    assert recognised({"question": "a", "context": "b c", "answers": {"text": ["b"], "answer_start": [0]}}) is None
    assert recognised({"question": "a", "context": "b c", "answers": [{"text": "b", "answer_start": 0}]}) is None


def test_a_rendered_prompt_beside_the_columns_is_not_told_again() -> None:
    row = {"instruction": "Say it.", "input": "it", "output": "it is said", "text": "### Say it."}
    match = recognised(row)
    assert match is not None and match[0].changed() == {}


def test_one_instruction_with_several_instances_gives_a_conversation_each() -> None:
    row = {"instruction": "Double it.", "instances": [{"input": "2", "output": "4"}, {"input": "", "output": "none"}]}
    match = recognised(row)
    assert match is not None and match[0].changed() == {"instances": "instances"}
    told = [[turn.content for turn in each.messages] for each in match[0].examples(Record(row, "rows.json", 1))]
    assert told == [["Double it.\n\n2", "4"], ["Double it.", "none"]]
    with pytest.raises(Unusable, match="no list of inputs and outputs"):
        match[0].example(Record({**row, "instances": []}, "rows.json", 1))


def test_an_object_without_a_text_says_so() -> None:
    shape = shapes.build({"name": "alpaca", "input": "about"})
    with pytest.raises(Unusable, match="column 'about' holds an object without any of text"):
        shape.example(Record({"instruction": "a", "about": {"deep": 1}, "output": "b"}, "rows.json", 1))
