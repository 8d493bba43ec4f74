"""Raw text: strings, or one column of text; everything is both shown and learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from affina.core.example import Example, Text
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.shapes.labelled import classes

NAMES = ("text", "content", "body", "document", "article", "testo", "contenuto", "documento", "articolo")

FEWEST = 3
"""Mean words below which a column that no name tells is no text."""


class Raw(Shape):
    """A document, paragraph or line of which every token is a target."""

    makes: ClassVar[type[Example]] = Text

    text: str = "text"
    """The column of the text, where records have columns."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """Plain strings; a single column of text, or a column with a name for text; or the only one that reads like
        text, where no other could be its class."""
        if records and all(isinstance(record.values, str) for record in records):
            return Raw(), "raw: plain text without columns"
        found = columns.usual(records)
        if len(found) == 1 and columns.texts(next(iter(found.values()))):
            name = next(iter(found))
            return Raw(text=name), f"raw: '{name}' is the only column"
        called = columns.named([name for name, values in found.items() if columns.texts(values)], NAMES)
        flat = columns.flat(found)
        others = classes({name: values for name, values in flat.items() if name not in called[:1]})
        if called:
            line = f"{{name: labelled, text: {called[0]}, label: {others[0]}}}" if others else ""
            return Raw(text=called[0]), f"raw: column '{called[0]}' by its name" + (
                f" (for classes write `shape: {line}`)" if line else ""
            )
        reading = [name for name, values in flat.items() if columns.prose(values)]
        if len(flat) < len(found) or len(reading) != 1 or others or _words(flat[reading[0]]) < FEWEST:
            return None
        return Raw(text=reading[0]), f"raw: column '{reading[0]}' is the only one that reads like text"

    def example(self, record: Record) -> Text:
        """Raises Unusable for white space only."""
        if not isinstance(record.values, str):
            return Text(id=record.where, text=columns.text(record, self.text, "text"))
        if not record.values.strip():
            raise Unusable("the text is empty")
        return Text(id=record.where, text=record.values)


def _words(values: Sequence[str]) -> float:
    return sum(len(each.split()) for each in values) / len(values)
