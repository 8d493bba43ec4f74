from typing import Any

import pytest
from shared_data import shared

from affina.core.example import Chat
from affina.core.kinds import Record, Unusable, readers, shapes


def chat(values: dict[str, Any]) -> Chat:
    example = shapes.build("sharegpt").example(Record(values, "rows.json", 1))
    assert isinstance(example, Chat)
    return example


def turn(who: str, value: Any = "words") -> dict[str, Any]:
    return {"from": who, "value": value}


def test_names_become_roles_and_a_system_column_opens_the_conversation() -> None:
    found = chat({"conversations": [turn("human"), turn("gpt"), turn("human"), turn("gpt")], "system": "Be kind."})
    assert [message.role for message in found.messages] == ["system", "user", "assistant", "user", "assistant"]
    both = chat({"conversations": [turn("system"), turn("human"), turn("gpt")], "system": "Be kind."})
    assert [message.content for message in both.messages] == ["words"] * 3


def test_a_function_call_is_an_assistant_turn_with_a_tool_call() -> None:
    found = chat(
        {
            "conversations": [
                turn("human"),
                turn("function_call", '{"name": "look", "arguments": {"what": "card"}}'),
                turn("observation", "42"),
                turn("gpt"),
            ],
            "tools": '[{"name": "look"}]',
        }
    )
    assert [message.role for message in found.messages] == ["user", "assistant", "tool", "assistant"]
    assert found.messages[1].extra == {
        "tool_calls": [{"type": "function", "function": {"name": "look", "arguments": {"what": "card"}}}]
    }
    assert found.tools == ({"name": "look"},)


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([turn("human"), turn("alien")], "from 'alien'"),
        ([turn("human"), turn("gpt", 3)], "no 'from' and 'value'"),
        ([turn("human"), turn("function_call", "look()")], "not JSON"),
        ([turn("human"), turn("function_call", "[]")], "not an object"),
        ([turn("human")], "no turn is the assistant's"),
        ([], "not a list of turns"),
    ],
)
def test_a_conversation_that_cannot_be_learnt_from_says_why(turns: list[Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        chat({"conversations": turns})


def test_every_turn_of_real_tool_conversations_is_kept() -> None:
    path = shared("data", "glaive_toolcall_en_demo", "glaive_toolcall_en_demo.json")
    records = list(readers.build("json").records(path))
    chats = [chat(record.values) for record in records]
    roles = [message.role for each in chats for message in each.messages]
    given = [turn["from"] for record in records for turn in record.values["conversations"]]
    assert roles.count("tool") == given.count("observation")
    assert roles.count("assistant") == given.count("gpt") + given.count("function_call")
    assert sum("tool_calls" in message.extra for each in chats for message in each.messages) == 211
