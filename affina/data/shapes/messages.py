"""OpenAI chat messages: a column of turns with `role` and `content`, tool calls included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from affina.core.example import Chat, Example, Message
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.turns import call, conversation

KEPT = ("name", "tool_call_id", "reasoning_content")


class Messages(Shape):
    """A conversation; every assistant turn is a target, and what follows the last one is left out."""

    makes: ClassVar[type[Example]] = Chat

    messages: str = "messages"
    """The column of the turns."""
    tools: str = "tools"
    """The column of the tools' descriptions, where there is one: a list, or the JSON text of a list."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """A column whose values are lists of objects with a role."""
        for name, values in columns.usual(records).items():
            if sum(_is_turns(value) for value in values) >= columns.USUAL * len(values):
                return Messages(messages=name), f"messages: column '{name}' holds turns with a role and content"
        return None

    def example(self, record: Record) -> Chat:
        """Raises Unusable for turns that cannot be read or hold no target."""
        turns = columns.value(record, self.messages)
        if not isinstance(turns, list) or not turns:
            raise Unusable(f"column '{self.messages}' is not a list of turns")
        return conversation(record.where, list(map(message, turns)), columns.row(record).get(self.tools))


def _is_turns(value: Any) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(turn, Mapping) and "role" in turn for turn in value)
    )


def message(turn: Any) -> Message:
    if not isinstance(turn, Mapping) or not isinstance(turn.get("role"), str):
        raise Unusable("a turn has no role")
    role = "tool" if turn["role"] == "function" else turn["role"]
    if role == "assistant" and turn.get("weight") == 0:
        raise Unusable("an assistant turn has weight 0, and every assistant turn is learnt here: remove the turn")
    extra = {key: turn[key] for key in KEPT if turn.get(key) is not None}
    if turn.get("tool_calls"):
        extra["tool_calls"] = list(map(_call, turn["tool_calls"]))
    elif isinstance(turn.get("function_call"), Mapping):  # OpenAI's form before tool_calls
        extra["tool_calls"] = [call(turn["function_call"].get("name"), turn["function_call"].get("arguments", {}))]
    return Message(role, _content(turn.get("content")), extra)


def _call(given: Any) -> dict[str, Any]:
    inner = given.get("function", given) if isinstance(given, Mapping) else None
    if not isinstance(inner, Mapping):
        raise Unusable("a tool call is not an object")
    made = call(inner.get("name"), inner.get("arguments", {}))
    return {"id": given["id"], **made} if isinstance(given.get("id"), str) else made


def _content(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Unusable("the content of a turn is neither text nor a list of parts")
    return "".join(map(_part, content))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise Unusable(f"a turn holds a part of type '{kind}', and only text is read")
