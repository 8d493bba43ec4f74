"""ShareGPT conversations: a column of turns with `from` and `value`, function calls and observations included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from affina.core.example import Chat, Example, Message
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.turns import call, conversation

ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "function_response": "tool",
    "tool": "tool",
}


class ShareGpt(Shape):
    """A conversation; every assistant turn is a target, and what follows the last one is left out."""

    makes: ClassVar[type[Example]] = Chat

    conversations: str = "conversations"
    """The column of the turns."""
    tools: str = "tools"
    """The column of the tools' descriptions, where there is one: a list, or the JSON text of a list."""
    system: str = "system"
    """The column of a system prompt, where there is one; a system turn in the conversation takes its place."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """A column whose values are lists of objects with `from` and `value`."""
        for name, values in columns.usual(records).items():
            if sum(map(_is_turns, values)) >= columns.USUAL * len(values):
                return ShareGpt(conversations=name), f"sharegpt: column '{name}' holds turns with 'from' and 'value'"
        return None

    def example(self, record: Record) -> Chat:
        """Raises Unusable for turns that cannot be read or hold no target."""
        turns = columns.value(record, self.conversations)
        if not isinstance(turns, list) or not turns:
            raise Unusable(f"column '{self.conversations}' is not a list of turns")
        messages = list(map(message, turns))
        system = columns.optional(record, self.system)
        if system.strip() and messages[0].role != "system":
            messages.insert(0, Message("system", system))
        return conversation(record.where, messages, columns.row(record).get(self.tools))


def _is_turns(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, Mapping) and {"from", "value"} <= set(turn) for turn in value)
    )


def message(turn: Any) -> Message:
    if not isinstance(turn, Mapping) or not isinstance(turn.get("from"), str) or not isinstance(turn.get("value"), str):
        raise Unusable("a turn has no 'from' and 'value' texts")
    said, value = turn["from"], turn["value"]
    if said not in ROLES:
        raise Unusable(f"a turn is from '{said}'; known: {', '.join(ROLES)}")
    if said == "function_call":
        return Message("assistant", "", {"tool_calls": _calls(value)})
    return Message(ROLES[said], value)


def _calls(value: str) -> list[dict[str, Any]]:
    try:
        given = json.loads(value)
    except ValueError as error:
        raise Unusable(f"a function call is not JSON: {error}") from error
    calls = given if isinstance(given, list) else [given]
    if not calls or not all(isinstance(each, Mapping) for each in calls):
        raise Unusable("a function call is not an object with a name and arguments")
    return [call(each.get("name"), each.get("arguments", {})) for each in calls]
