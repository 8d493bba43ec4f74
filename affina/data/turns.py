"""A list of turns, however a file writes it, to a Chat that has something to learn from."""

import json
from collections.abc import Sequence
from typing import Any

from affina.core.example import Chat, Message
from affina.core.kinds import Unusable

ROLES = ("system", "developer", "user", "assistant", "tool")


def conversation(id: str, messages: Sequence[Message], tools: Any = None) -> Chat:
    """A Chat of these turns. What follows the last assistant turn is left out: nothing in it can be learnt.

    Raises Unusable for an unknown role, no assistant turn, an assistant turn that says nothing, an empty first
    question, or a tool's answer that no assistant turn comes before.
    """
    for number, message in enumerate(messages, 1):
        if message.role not in ROLES:
            raise Unusable(f"turn {number} has the role '{message.role}'; known: {', '.join(ROLES)}")
        if message.role == "assistant" and not message.content.strip() and "tool_calls" not in message.extra:
            raise Unusable(f"turn {number}, of the assistant, is empty")
    spoken = [number for number, message in enumerate(messages) if message.role == "assistant"]
    if not spoken:
        raise Unusable("no turn is the assistant's: there is no target")
    first_tool = next((number for number, message in enumerate(messages) if message.role == "tool"), len(messages))
    if first_tool < spoken[0]:
        raise Unusable(f"turn {first_tool + 1} is a tool's answer before any assistant turn")
    return Chat(id=id, messages=tuple(messages[: spoken[-1] + 1]), tools=described_tools(tools))


def described_tools(given: Any) -> tuple[dict[str, Any], ...]:
    """Tool descriptions from a list or from the JSON text of one. Raises Unusable for anything else."""
    if isinstance(given, str) and given.strip():
        try:
            given = json.loads(given)
        except ValueError as error:
            raise Unusable(f"the tools are not JSON: {error}") from error
    if given is None or given == "":
        return ()
    if not isinstance(given, list) or not all(isinstance(tool, dict) for tool in given):
        raise Unusable("the tools are not a list of objects")
    return tuple(given)


def call(name: Any, arguments: Any) -> dict[str, Any]:
    """A tool call as chat templates read it: the arguments an object. Raises Unusable when they are not."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except ValueError as error:
            raise Unusable(f"the arguments of a tool call are not JSON: {error}") from error
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise Unusable("a tool call needs a name and an object of arguments")
    return {"type": "function", "function": {"name": name, "arguments": arguments}}
