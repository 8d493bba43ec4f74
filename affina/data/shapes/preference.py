"""A question and two answers, one preferred: texts, turns, conversations, or transcripts of Human and Assistant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from affina.core.example import Example, Message, Pair
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.shapes import messages, sharegpt
from affina.data.turns import ROLES

ASKED = ("prompt", "messages", "conversations", "instruction", "question", "query", "domanda", "istruzione")
CHOSEN = ("chosen", "preferred", "chosen_response", "scelta")
REJECTED = ("rejected", "dispreferred", "rejected_response", "scartata")
SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant):")
SAID_BY = {"Human": "user", "Assistant": "assistant"}


class Preference(Shape):
    """Two answers to one conversation. Where both tell the whole conversation, they differ in the last turn only."""

    makes: ClassVar[type[Example]] = Pair

    prompt: str = "prompt"
    """The column of what is asked, a text or a list of turns; not needed where both answers tell it."""
    input: str = "input"
    """The column of what the question is about; it may be empty or missing."""
    system: str = "system"
    """The column of a system prompt, where there is one."""
    chosen: str = "chosen"
    """The column of the better answer: a text, a turn, a list of turns, or a transcript."""
    rejected: str = "rejected"
    """The column of the worse answer."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """Columns called chosen and rejected, and what is asked in a third or told by both."""
        found = columns.usual(records)
        chosen, rejected = columns.named(found, CHOSEN), columns.named(found, REJECTED)
        if not chosen or not rejected:
            return None
        asked, about = columns.named(found, ASKED), columns.named(found, ("input", "context"))
        told = sum(map(_tells_all, found[chosen[0]])) >= columns.USUAL * len(found[chosen[0]])
        if not asked and not told:
            return None
        given = {"prompt": asked[:1], "input": about[:1], "chosen": chosen, "rejected": rejected}
        shape = Preference(**{name: named[0] for name, named in given.items() if named})
        by = f"to '{asked[0]}'" if asked else "to the conversation that both tell"
        return shape, f"preference: '{chosen[0]}' and '{rejected[0]}' answer {by}"

    def example(self, record: Record) -> Pair:
        """Raises Unusable for an empty or missing answer, two equal ones, and conversations that part too early."""
        before = self._asked(record)
        chosen, rejected = (
            _turns(columns.value(record, name), name, alone=not before) for name in (self.chosen, self.rejected)
        )
        if chosen[:-1] != rejected[:-1]:
            raise Unusable("the two conversations differ before the last turn")
        opening = tuple(chosen[:-1]) or tuple(before)
        if not opening or opening[-1].role == "assistant":
            raise Unusable("nothing is asked before the two answers")
        system = columns.optional(record, self.system)
        if system.strip() and opening[0].role != "system":
            opening = (Message("system", system), *opening)
        better, worse = chosen[-1].content, rejected[-1].content
        if better.strip() == worse.strip():
            raise Unusable("the two answers are the same")
        return Pair(id=record.where, messages=opening, chosen=better, rejected=worse)

    def _asked(self, record: Record) -> list[Message]:
        """What the columns ask; nothing where there is no such column."""
        given = columns.row(record).get(self.prompt)
        if isinstance(given, list):
            return _known(list(map(_turn, given)))
        asked, about = columns.plain(given, self.prompt), columns.optional(record, self.input)
        if not asked.strip():
            return []
        return [Message("user", f"{asked}\n\n{about}" if about.strip() else asked)]


def _turns(given: Any, column: str, alone: bool) -> list[Message]:
    """The turns that a cell tells, the last one the answer; `alone`: a text may be the transcript of all of them."""
    if isinstance(given, list):
        turns = _known(list(map(_turn, given)))
    elif isinstance(given, Mapping):
        turns = [_turn(given)]
    else:
        text = columns.plain(given, column)
        turns = _transcript(text) if alone and _tells_all(text) else [Message("assistant", text)]
    if not turns or not turns[-1].content.strip():
        raise Unusable(f"the answer is empty (column '{column}')")
    if turns[-1].role != "assistant":
        raise Unusable(f"the last turn of column '{column}' is not the assistant's")
    return turns


def _turn(given: Any) -> Message:
    return sharegpt.message(given) if isinstance(given, Mapping) and "from" in given else messages.message(given)


def _known(turns: list[Message]) -> list[Message]:
    strange = next((turn.role for turn in turns if turn.role not in ROLES), None)
    if strange is not None:
        raise Unusable(f"a turn has the role '{strange}'; known: {', '.join(ROLES)}")
    return turns


def _transcript(text: str) -> list[Message]:
    """`\\n\\nHuman: …\\n\\nAssistant: …` as turns (Bai et al. 2022)."""
    _, *parts = SPEAKER.split(text)
    return [Message(SAID_BY[who], said.strip()) for who, said in zip(parts[::2], parts[1::2], strict=True)]


def _tells_all(cell: Any) -> bool:
    """Whether a cell is a whole conversation, what is asked included."""
    if isinstance(cell, list):
        return len(cell) > 1 and all(isinstance(turn, Mapping) for turn in cell)
    return isinstance(cell, str) and set(SPEAKER.findall(cell)) == set(SAID_BY)
