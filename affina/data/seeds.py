"""Seed tasks: an instruction, an input that may be empty, and a right output, whatever file they stand in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from affina.core.errors import Refused
from affina.core.example import Chat
from affina.core.kinds import Record, Unusable
from affina.data.likeness import words
from affina.data.recognise import shape_for

SHORT = 3
"""Words of an output that may be a label."""


class Task(NamedTuple):
    """A task with one example. `choice`: whether its right answers are a short list of labels."""

    instruction: str
    input: str
    output: str
    choice: bool


def tasks(records: Iterable[Record]) -> list[Task]:
    """Seed tasks as Wang et al. (2023) write them (`instruction`, `instances`, `is_classification`), or rows of a shape
    that is recognised as questions and answers. Raises Refused where there is neither, or not one is whole.

    Where rows do not say whether a task is a choice, a short output that several tasks share makes it one.
    """
    sound = [record for record in records if not record.problem]
    if sound and all(isinstance(each.values, Mapping) and "instances" in each.values for each in sound):
        found = [task for record in sound if (task := _published(record.values))]
    else:
        found = _answered(sound)
    if not found:
        raise Refused(
            "there is no seed task",
            why=f"{len(sound)} records were read, and none has an instruction and an output",
            instead="give rows with `instruction`, `input` and `output`",
        )
    return found


def _published(row: Mapping[str, Any]) -> Task | None:
    instances = row["instances"]
    if not isinstance(instances, list) or not instances or not isinstance(instances[0], Mapping):
        return None
    first = instances[0]
    task = Task(
        _text(row.get("instruction")), _text(first.get("input")), _text(first.get("output")),
        row.get("is_classification") is True,
    )  # fmt: skip
    return task if task.instruction and task.output else None


def _answered(records: list[Record]) -> list[Task]:
    if not records:
        return []
    shape, reason = shape_for(records)
    if shape.makes is not Chat:
        raise Refused("seed tasks are questions and answers", why=f"these are others: {reason}")
    chats: list[Chat] = []
    for record in records:
        try:
            example = shape.example(record)
        except Unusable:
            continue
        assert isinstance(example, Chat), "the shape says so"
        chats.append(example)
    outputs = [_said(chat, "assistant") for chat in chats]
    made = []
    for chat, output in zip(chats, outputs, strict=True):
        instruction, _, given = _said(chat, "user").partition("\n\n")
        shared = outputs.count(output) > 1 and len(words(output)) <= SHORT
        made.append(Task(instruction.strip(), given.strip(), output, shared))
    return [task for task in made if task.instruction and task.output]


def _said(chat: Chat, role: str) -> str:
    """The first turn of that role."""
    return next((turn.content.strip() for turn in chat.messages if turn.role == role), "")


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
