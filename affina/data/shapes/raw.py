"""Raw text: strings, or one column of text; everything is both shown and learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from affina.core.example import Example, Text
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns

NAMES = ("text", "content", "body", "document", "article", "testo", "contenuto", "documento", "articolo")


class Raw(Shape):
    """A document, paragraph or line of which every token is a target."""

    makes: ClassVar[type[Example]] = Text

    text: str = "text"
    """The column of the text, where records have columns."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """Plain strings, or a single column of text, or a column with a name for text."""
        if records and all(isinstance(record.values, str) for record in records):
            return Raw(), "raw: plain text without columns"
        found = columns.usual(records)
        if len(found) == 1 and columns.texts(next(iter(found.values()))):
            name = next(iter(found))
            return Raw(text=name), f"raw: '{name}' is the only column"
        called = columns.named([name for name, values in found.items() if columns.texts(values)], NAMES)
        return (Raw(text=called[0]), f"raw: column '{called[0]}' by its name") if called else None

    def example(self, record: Record) -> Text:
        """Raises Unusable for white space only."""
        if not isinstance(record.values, str):
            return Text(id=record.where, text=columns.text(record, self.text, "text"))
        if not record.values.strip():
            raise Unusable("the text is empty")
        return Text(id=record.where, text=record.values)
