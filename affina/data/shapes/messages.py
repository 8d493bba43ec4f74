"""Chat messages: a column of turns with `role` and `content` as OpenAI writes them, tool calls included; or with other
keys and speakers of other names, as dialogues are written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from affina.core.example import Chat, Example, Message
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.speakers import learnt, role_of
from affina.data.turns import ROLES, call, conversation

ROLE = ("role", "speaker", "author", "sender", "from", "who", "agent", "ruolo", "parlante")
CONTENT = ("content", "utterance", "text", "message", "value", "body", "sentence", "contenuto", "testo", "frase")
KEPT = ("name", "tool_call_id", "reasoning_content")


class Messages(Shape):
    """A conversation; every assistant turn is a target, and what follows the last one is left out."""

    makes: ClassVar[type[Example]] = Chat

    messages: str = "messages"
    """The column of the turns."""
    tools: str = "tools"
    """The column of the tools' descriptions, where there is one: a list, or the JSON text of a list."""

    role: str = "role"
    """The key of who speaks in a turn."""
    content: str = "content"
    """The key of what is said."""
    user: str = ""
    """Who asks, as the data call them; `user` and its usual other names when left out."""
    assistant: str = ""
    """Who answers and is learnt, as the data call them; `assistant` and its usual other names when left out."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """A column whose values are lists of objects with a role; or with a speaker, of whom one asks, one answers."""
        for name, values in columns.usual(records).items():
            turns = [value for value in values if _is_turns(value)]
            if not turns or len(turns) < columns.USUAL * len(values):
                continue
            if sum(map(_openai, turns)) >= columns.USUAL * len(turns):
                return Messages(messages=name), f"messages: column '{name}' holds turns with a role and content"
            keys = spoken(turns)
            if keys is None or keys == ("from", "value"):
                continue
            role, content = keys
            two = learnt(str(turn[role]) for value in turns for turn in value)
            if two:
                shape = Messages(messages=name, role=role, content=content, user=two[0], assistant=two[1])
                return (
                    shape,
                    f"messages: in '{name}' the turns' '{role}' is '{two[0]}' who asks, '{two[1]}' who answers",
                )
        return None

    def example(self, record: Record) -> Chat:
        """Raises Unusable for turns that cannot be read or hold no target."""
        turns = columns.value(record, self.messages)
        if not isinstance(turns, list) or not turns:
            raise Unusable(f"column '{self.messages}' is not a list of turns")
        return conversation(record.where, list(map(self._said, turns)), columns.row(record).get(self.tools))

    def _said(self, turn: Any) -> Message:
        if not isinstance(turn, Mapping) or not isinstance(turn.get(self.role), str):
            raise Unusable("a turn has no role")
        speaker = turn[self.role]
        named = {self.user: "user", self.assistant: "assistant"} if speaker else {}
        role = named.get(speaker) or (speaker if speaker in ROLES else role_of(speaker)) or speaker
        return message({**turn, "role": role, "content": turn.get(self.content)})


def spoken(turns: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[str, str] | None:
    """The keys of who speaks and of what is said, where every turn has both."""
    keys = set.intersection(*({str(key) for key in turn} for each in turns for turn in each))
    role, content = columns.named(keys, ROLE), columns.named(keys, CONTENT)
    texts = all(isinstance(turn[content[0]], str) for each in turns for turn in each) if content else False
    return (role[0], content[0]) if role and texts else None


def _openai(turns: Sequence[Mapping[str, Any]]) -> bool:
    """Turns of roles that are known, each with something said, or called."""
    said = all("content" in turn or turn.get("tool_calls") or turn.get("function_call") for turn in turns)
    return said and all(turn.get("role") in ROLES or role_of(turn.get("role")) for turn in turns)


def _is_turns(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, Mapping) for turn in value)


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
