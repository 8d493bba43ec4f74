import json
from typing import Any

import pytest

from affina.core.example import Chat, Message
from affina.core.kinds import Record, Unusable, shapes


def chat(values: dict[str, Any]) -> Chat:
    example = shapes.build("messages").example(Record(values, "rows.jsonl", 1))
    assert isinstance(example, Chat)
    return example


def turn(role: str, content: Any = "words", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def test_turns_keep_their_order_and_what_follows_the_last_answer_is_left_out() -> None:
    found = chat({"messages": [turn("system"), turn("user"), turn("assistant", "yes"), turn("user", "bye")]})
    assert found.messages == (Message("system", "words"), Message("user", "words"), Message("assistant", "yes"))


def test_text_parts_are_joined_and_other_parts_are_unusable() -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    assert chat({"messages": [turn("user", parts), turn("assistant")]}).messages[0].content == "one two"
    with pytest.raises(Unusable, match="part of type 'image_url'"):
        chat({"messages": [turn("user", [{"type": "image_url", "image_url": {}}]), turn("assistant")]})


def test_tool_calls_keep_their_ids_and_their_arguments_become_an_object() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"what": "card"}'}}
    found = chat(
        {
            "messages": [
                turn("user"),
                turn("assistant", None, tool_calls=[call]),
                turn("tool", "42", tool_call_id="c1", name="look"),
                turn("assistant"),
            ],
            "tools": [{"type": "function", "function": {"name": "look"}}],
        }
    )
    assert found.messages[1].extra["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"what": "card"}}}
    ]
    assert found.messages[2].extra == {"tool_call_id": "c1", "name": "look"}
    assert found.tools == ({"type": "function", "function": {"name": "look"}},)


def test_tools_and_the_form_before_tool_calls_are_read() -> None:
    found = chat(
        {
            "messages": [
                turn("user"),
                turn("assistant", None, function_call={"name": "look", "arguments": "{}"}),
                turn("function", "42", name="look"),
                turn("assistant"),
            ],
            "tools": json.dumps([{"name": "look"}]),
        }
    )
    assert [message.role for message in found.messages] == ["user", "assistant", "tool", "assistant"]
    assert found.tools == ({"name": "look"},)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"messages": [turn("user"), turn("user")]}, "no turn is the assistant's"),
        ({"messages": [turn("user"), turn("assistant", " ")]}, "turn 2, of the assistant, is empty"),
        ({"messages": [turn("robot"), turn("assistant")]}, "role 'robot'"),
        ({"messages": [turn("tool"), turn("assistant")]}, "before any assistant turn"),
        ({"messages": [turn("user"), turn("assistant", weight=0)]}, "weight 0"),
        ({"messages": [turn("user", 3), turn("assistant")]}, "neither text nor a list"),
        ({"messages": []}, "not a list of turns"),
        ({"messages": "user: hello"}, "not a list of turns"),
        ({"messages": ["hello"]}, "no role"),
        ({"messages": [turn("user"), turn("assistant", None, tool_calls=["x"])]}, "not an object"),
        (
            {
                "messages": [
                    turn("user"),
                    turn("assistant", "", tool_calls=[{"function": {"name": "f", "arguments": "{"}}]),
                ]
            },
            "not JSON",
        ),
        (
            {"messages": [turn("user"), turn("assistant", "", tool_calls=[{"function": {"arguments": {}}}])]},
            "needs a name",
        ),
        ({"messages": [turn("user"), turn("assistant")], "tools": "{"}, "tools are not JSON"),
        ({"messages": [turn("user"), turn("assistant")], "tools": [3]}, "not a list of objects"),
        ({"turns": []}, "no column 'messages'"),
    ],
)
def test_a_conversation_that_cannot_be_learnt_from_says_why(values: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        chat(values)


def dialogue(*speakers: str, role: str = "speaker", content: str = "utterance") -> dict[str, Any]:
    return {"turns": [{role: who, content: f"words of {who} {n}"} for n, who in enumerate(speakers)]}


def recognised(rows: list[dict[str, Any]]) -> tuple[Any, str] | None:
    return shapes.build("messages").recognise([Record(row, "rows.jsonl", n) for n, row in enumerate(rows, 1)])


@pytest.mark.parametrize(
    ("speakers", "keys"),
    [
        (("USER", "SYSTEM"), ("speaker", "utterance")),
        (("customer", "agent"), ("who", "text")),
        (("utente", "operatore"), ("ruolo", "testo")),
    ],
)
def test_speakers_of_other_names_ask_and_answer(speakers: tuple[str, str], keys: tuple[str, str]) -> None:
    rows = [dialogue(*speakers, *speakers, role=keys[0], content=keys[1])] * 3
    match = recognised(rows)
    assert match is not None
    shape, why = match
    assert (shape.user, shape.assistant) == speakers and keys[0] in why
    found = shape.example(Record(rows[0], "rows.jsonl", 1))
    assert [message.role for message in found.messages] == ["user", "assistant"] * 2
    assert found.messages[1].content == f"words of {speakers[1]} 1"


def test_a_system_turn_beside_an_assistants_is_the_systems() -> None:
    match = recognised([dialogue("system", "user", "bot")] * 3)
    assert match is not None and match[0].assistant == "bot"
    found = match[0].example(Record(dialogue("system", "user", "bot"), "rows.jsonl", 1))
    assert [message.role for message in found.messages] == ["system", "user", "assistant"]


def test_speakers_that_tell_no_role_are_not_guessed_but_can_be_named() -> None:
    row = dialogue("Anna", "Bruno")
    assert recognised([row] * 3) is None
    spec = {"name": "messages", "messages": "turns", "role": "speaker", "content": "utterance"}
    shape = shapes.build({**spec, "user": "Anna", "assistant": "Bruno"})
    found = shape.example(Record(row, "rows.jsonl", 1))
    assert isinstance(found, Chat)
    assert found.messages == (Message("user", "words of Anna 0"), Message("assistant", "words of Bruno 1"))
    with pytest.raises(Unusable, match="the role 'Anna'"):
        shapes.build(spec).example(Record(row, "rows.jsonl", 1))
