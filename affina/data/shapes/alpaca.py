"""Alpaca rows: an instruction, an input that may be empty, and the output (Taori et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from affina.core.example import Chat, Example, Message
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns


class Alpaca(Shape):
    """The user says the instruction, a blank line and the input; the assistant says the output."""

    makes: ClassVar[type[Example]] = Chat

    instruction: str = "instruction"
    """The column of the instruction."""
    input: str = "input"
    """The column of what the instruction is about; it may be empty or missing."""
    output: str = "output"
    """The column of the right answer."""
    system: str = "system"
    """The column of a system prompt, where there is one."""
    history: str = "history"
    """The column of earlier turns, a list of [asked, answered] pairs, where there is one."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """`instruction` and `output`; or `instruction`, `input` or `context`, and `output` or `response`."""
        found = columns.usual(records)
        instruction, output = columns.named(found, ("instruction",)), columns.named(found, ("output", "response"))
        about = columns.named(found, ("input", "context"))
        if not instruction or not output or (not about and output[0].lower() != "output"):
            return None
        shape = Alpaca(instruction=instruction[0], input=about[0] if about else "input", output=output[0])
        told = [instruction[0], *about[:1], output[0]]
        return shape, f"alpaca: columns {', '.join(repr(name) for name in told)}"

    def example(self, record: Record) -> Chat:
        """Raises Unusable when the instruction or the output is empty or missing."""
        instruction = columns.text(record, self.instruction, "instruction")
        about, system = columns.optional(record, self.input), columns.optional(record, self.system)
        asked = f"{instruction}\n\n{about}" if about.strip() else instruction
        messages = [Message("system", system)] if system.strip() else []
        for before, answer in _pairs(columns.row(record).get(self.history)):
            messages += [Message("user", before), Message("assistant", answer)]
        answer = columns.text(record, self.output, "output")
        return Chat(id=record.where, messages=(*messages, Message("user", asked), Message("assistant", answer)))


def _pairs(history: Any) -> list[tuple[str, str]]:
    if not history:
        return []
    sound = isinstance(history, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(said, str) and said.strip() for said in pair)
        for pair in history
    )
    if not sound:
        raise Unusable("the history is not a list of [asked, answered] pairs")
    return [(asked, answer) for asked, answer in history]
