"""Alpaca rows: an instruction, an input that may be empty, and the output (Taori et al. 2023); or a question, what it
is about, and its answer in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from affina.core.example import Chat, Example, Message
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns, inside

INSTRUCTION = ("instruction", "istruzione", "question", "query", "domanda")
INPUT = tuple(
    re.findall(
        r"\w+",
        """input context contexts table passage paragraph paragraphs support document article story evidence
    contesto paragrafo documento articolo""",
    )
)
SYSTEM = ("system", "system_prompt", "system_message")
OUTPUT = ("output", "response", "answer", "answers", "risposta")


class Alpaca(Shape):
    """The user says the instruction, a blank line and the input; the assistant says the output."""

    makes: ClassVar[type[Example]] = Chat

    instruction: str = "instruction"
    """The column of the instruction."""
    input: str | tuple[str, ...] = "input"
    """The column of what the instruction is about, or several; a text, texts in a list, a table. It may be empty."""
    output: str = "output"
    """The column of the right answer."""
    system: str = "system"
    """The column of a system prompt, where there is one."""
    history: str = "history"
    """The column of earlier turns, a list of [asked, answered] pairs, where there is one."""

    instances: str = ""
    """The column of a list of objects with `input` and `output` each, where one instruction has several."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """`instruction` and `output`; an instruction or a question, an input or context, an output or answer; or an
        instruction and a list of inputs and outputs."""
        found = columns.usual(records)
        instruction = columns.named(found, INSTRUCTION)
        if not instruction:
            return None
        if listed := next((name for name, values in found.items() if _instances(values)), ""):
            shape = Alpaca(instruction=instruction[0], instances=listed)
            return shape, f"alpaca: column '{instruction[0]}', and in '{listed}' inputs and outputs"
        about = [name for name in columns.named(found, INPUT) if _reads(found[name])]
        output = columns.named(found, OUTPUT) or columns.last_word(found, OUTPUT)
        first = "instruction" if instruction[0].lower() in ("instruction", "istruzione") else "question"
        if len(output) != 1 or not all(map(_answers, found[output[0]])):
            return None
        system = [name for name in columns.named(found, SYSTEM) if columns.texts(found[name])]
        if not about and not system and (first == "question" or output[0].lower() != "output"):
            return None
        about = about[:1] if first == "instruction" else about
        read = about[0] if len(about) == 1 else tuple(about) or "input"
        told = ", ".join(repr(name) for name in (*system[:1], instruction[0], *about, output[0]))
        shape = Alpaca(instruction=instruction[0], input=read, output=output[0], system=(*system, "system")[0])
        return shape, f"alpaca: columns {told}"

    def example(self, record: Record) -> Chat:
        """Raises Unusable when the instruction or the output is empty or missing."""
        return next(self.examples(record))

    def examples(self, record: Record) -> Iterator[Chat]:
        """A conversation; of several instances one each. Raises Unusable when one of the texts is empty or missing."""
        if not self.instances:
            named = (self.input,) if isinstance(self.input, str) else self.input
            told = [inside.text(columns.row(record).get(name), name) for name in named]
            output = inside.answer(columns.value(record, self.output), self.output)
            yield self._chat(record, "\n\n".join(filter(str.strip, told)), output, self.output)
            return
        listed = columns.value(record, self.instances)
        if not isinstance(listed, list) or not listed or not all(isinstance(each, Mapping) for each in listed):
            raise Unusable(f"column '{self.instances}' is no list of inputs and outputs")
        for each in listed:
            about, output = inside.text(each.get("input"), "input"), inside.answer(each.get("output"), "output")
            yield self._chat(record, about, output, "output")

    def _chat(self, record: Record, about: str, output: str, column: str) -> Chat:
        instruction = columns.text(record, self.instruction, "instruction")
        if not output.strip():
            raise Unusable(f"the output is empty (column '{column}')")
        system = columns.optional(record, self.system)
        asked = f"{instruction}\n\n{about}" if about.strip() else instruction
        messages = [Message("system", system)] if system.strip() else []
        for before, answer in _pairs(columns.row(record).get(self.history)):
            messages += [Message("user", before), Message("assistant", answer)]
        return Chat(id=record.where, messages=(*messages, Message("user", asked), Message("assistant", output)))


def _instances(values: Sequence[Any]) -> bool:
    """Lists of objects that have an output each."""
    lists = [each for each in values if isinstance(each, list) and each]
    held = [one for each in lists for one in each]
    return (
        bool(held) and len(lists) == len(values) and all(isinstance(one, Mapping) and "output" in one for one in held)
    )


def _reads(values: Sequence[Any]) -> bool:
    """Whether what is filled of these can be told as text."""
    filled = [value for value in values if value]
    return not filled or inside.readable(filled)


def _answers(cell: Any) -> bool:
    """Words, or a list of them: not answers that say where they begin."""
    return not isinstance(cell, Mapping) and not (isinstance(cell, list) and any(isinstance(e, Mapping) for e in cell))


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
