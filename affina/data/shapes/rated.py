"""A text and a number: a rating, a score, a similarity; the number is recognised by its column's name or fractions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from affina.core.example import Example
from affina.core.example import Rated as RatedText
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.shapes.labelled import LABELS, RATINGS, distinct, label_column


class Rated(Shape):
    """One text, one number."""

    makes: ClassVar[type[Example]] = RatedText

    text: str = "text"
    """The column of the text."""
    value: str = "value"
    """The column of the number."""
    decimal: Literal[".", ","] = "."
    """What stands before a number's fraction, where numbers are written as text."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """One text column, no class column by name, and a column of numbers called a rating, or a label of fractions.

        Two columns that both read like a text leave open which is rated, unless one has a name for texts.
        """
        if not all(isinstance(record.values, Mapping) for record in records):
            return None
        found = columns.flat(columns.usual(distinct(records)))
        value, decimal = _number_column(found)
        others = {name: values for name, values in found.items() if name != value}
        text = columns.text_column(others)
        open_between = [name for name, values in others.items() if columns.prose(values)]
        unclear = len(open_between) > 1 and not columns.named(open_between, columns.TEXTS)
        if not value or not text or unclear or label_column(others)[1] == "by its name":
            return None
        why = f"rated: text in column '{text}', its number in '{value}'"
        return Rated(text=text, value=value, decimal="," if decimal == "," else "."), why

    def example(self, record: Record) -> RatedText:
        """Raises Unusable for an empty text or what is no finite number."""
        text = columns.text(record, self.text, "text")
        return RatedText(id=record.where, text=text, value=self._number(columns.value(record, self.value)))

    def _number(self, found: Any) -> float:
        written = columns.plain(found, self.value).strip()
        if not written:
            raise Unusable(f"the number is empty (column '{self.value}')")
        number = _number(written, self.decimal)
        if number is None:
            raise Unusable(f"column '{self.value}' holds '{written[:40]}' where a number is expected")
        return number


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
