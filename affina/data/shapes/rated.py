"""A text and a number: a rating, a score, a similarity; or an answer and whether it is a good one (Ethayarajh et al.
2024, KTO). A number is recognised by its column's name or fractions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from affina.core.example import Example, Message
from affina.core.example import Rated as RatedText
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.shapes import messages, sharegpt
from affina.data.shapes.labelled import BY_NAME, LABELS, RATINGS, distinct, label_column
from affina.data.shapes.prompt_completion import ANSWERED, ASKED

GOOD = tuple(
    re.findall(
        r"\w+",
        """label kto_tag desirable is_desirable chosen liked like thumbs_up good is_good accepted helpful feedback
    rating gradito buona utile""",
    )
)
"""What the column is called that says whether an answer is a good one."""


class Rated(Shape):
    """One text or conversation, one number; true is 1 and false is 0."""

    makes: ClassVar[type[Example]] = RatedText

    text: str | tuple[str, ...] = "text"
    """The column of the text; of a conversation, the list of its turns; of several columns each is told in a line."""
    answer: str = ""
    """The column of an answer to the text, where it is that answer which is rated."""
    value: str = "value"
    """The column of the number, or of true and false."""
    decimal: Literal[".", ","] = "."
    """What stands before a number's fraction, where numbers are written as text."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """One text column, no class column by name, and a column of numbers called a rating, or a label of fractions;
        or a conversation, or a question and its answer, and a column of true and false.

        Two columns that both read like a text leave open which is rated, unless one has a name for texts.
        """
        if not all(isinstance(record.values, Mapping) for record in records):
            return None
        if judged := _judged(columns.usual(records)):
            return judged
        found = columns.flat(columns.usual(distinct(records)))
        value, decimal = _number_column(found)
        others = {name: values for name, values in found.items() if name != value}
        text = columns.two_texts(others) or columns.text_column(others)
        open_between = [name for name, values in others.items() if columns.prose(values)]
        unclear = len(open_between) > 1 and isinstance(text, str) and not _called(open_between)
        if not value or not text or unclear or label_column(others)[1] == BY_NAME:
            return None
        told = f"column '{text}'" if isinstance(text, str) else " and ".join(f"'{name}'" for name in text)
        why = f"rated: text in {told}, its number in '{value}'"
        return Rated(text=text, value=value, decimal="," if decimal == "," else "."), why

    def example(self, record: Record) -> RatedText:
        """Raises Unusable for an empty text, a conversation without an answer, or what is no finite number."""
        turns = self._turns(record)
        value = self._number(columns.value(record, self.value), judged=turns is not None)
        if turns is None:
            return RatedText(id=record.where, text=columns.lines(record, self.text, "text"), value=value)
        if not turns or turns[-1].role != "assistant" or not turns[-1].content.strip():
            raise Unusable("the conversation does not end with an answer, so there is nothing that is rated")
        text = "\n\n".join(f"{turn.role}: {turn.content}" for turn in turns)
        return RatedText(id=record.where, text=text, value=value, messages=tuple(turns))

    def _turns(self, record: Record) -> list[Message] | None:
        """The conversation that is rated; None where it is a text."""
        given = columns.value(record, self.text) if isinstance(self.text, str) else None
        if isinstance(given, list):
            return list(map(_turn, given))
        if not self.answer:
            return None
        asked = Message("user", columns.lines(record, self.text, "text"))
        return [asked, Message("assistant", columns.text(record, self.answer, "answer"))]

    def _number(self, found: Any, judged: bool) -> float:
        written = columns.plain(found, self.value).strip()
        if not written:
            raise Unusable(f"the number is empty (column '{self.value}')")
        if judged and written.lower() in ("true", "false"):
            return float(written.lower() == "true")
        number = _number(written, self.decimal)
        if number is None:
            raise Unusable(f"column '{self.value}' holds '{written[:40]}' where a number is expected")
        return number


def _called(names: Sequence[str]) -> bool:
    """Whether one of these columns is called like a text."""
    return bool(columns.named(names, columns.TEXTS)) or len(columns.last_word(names, columns.TEXTS)) == 1


def _turn(given: Any) -> Message:
    return sharegpt.message(given) if isinstance(given, Mapping) and "from" in given else messages.message(given)


def _judged(found: Mapping[str, list[Any]]) -> tuple[Rated, str] | None:
    """An answer and whether it is good: the last one of a conversation, or the one beside its question."""
    said = [name for name, values in found.items() if all(_is_said(value) for value in values)]
    told = next((name for name in columns.named(found, GOOD) if name in said), "")
    if not told:
        return None
    for name, values in found.items():
        if sum(map(_is_conversation, values)) >= columns.USUAL * len(values):
            return Rated(text=name, value=told), f"rated: '{told}' says whether the last answer of '{name}' is good"
    texts = [name for name, values in found.items() if name != told and columns.texts(values)]
    asked, answered = columns.named(texts, ASKED), columns.named(texts, ANSWERED)
    if len(asked) != 1 or len(answered) != 1:
        return None
    why = f"rated: '{told}' says whether '{answered[0]}' is a good answer to '{asked[0]}'"
    return Rated(text=asked[0], answer=answered[0], value=told), why


def _is_said(value: Any) -> bool:
    """True or false, and not a class that happens to be called 0 or 1."""
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("true", "false"))


def _is_conversation(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(isinstance(turn, Mapping) for turn in value):
        return False
    return all({"role", "content"} <= set(turn) or {"from", "value"} <= set(turn) for turn in value)


def _number(written: str, decimal: str) -> float | None:
    if not re.fullmatch(rf"[-+]?(\d+{re.escape(decimal)}?\d*|{re.escape(decimal)}\d+)([eE][-+]?\d+)?", written):
        return None
    number = float(written.replace(decimal, "."))
    return number if math.isfinite(number) else None


def _number_column(found: Mapping[str, list[str]]) -> tuple[str, str]:
    """The column of numbers and their decimal sign; empty where no name fits."""
    called = columns.named(found, RATINGS)
    for name in (*called, *columns.named(found, LABELS)):
        filled = [each for each in found[name] if each]
        for decimal in (".", ","):
            numbers = [number for each in filled if (number := _number(each, decimal)) is not None]
            whole = all(number.is_integer() for number in numbers)
            if filled and len(numbers) >= columns.USUAL * len(filled) and (name in called or not whole):
                return name, decimal
    return "", ""
