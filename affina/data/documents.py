"""Records as documents: a text with the name of the file and the line where it begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from affina.core.errors import Refused
from affina.core.example import Text
from affina.core.kinds import Record, Unusable
from affina.data.recognise import shape_for


class Document(NamedTuple):
    """A text. Offsets into it are characters of the text as the file's reader gives it."""

    id: str
    text: str


def documents(records: Iterable[Record]) -> list[Document]:
    """Every record that is a text, or has a column of text. Raises Refused where there is none."""
    sound = [record for record in records if not record.problem]
    if not sound:
        raise Refused("there is no text to ask about", why="no record of the files could be read")
    shape, reason = shape_for(sound)
    if shape.makes is not Text:
        raise Refused(
            "questions are made from texts",
            why=f"these are rows: {reason}",
            instead="give documents, or a file whose only column is a text",
        )
    times: Counter[str] = Counter()
    found: list[Document] = []
    for record in sound:
        try:
            example = shape.example(record)
        except Unusable:
            continue
        times[record.where] += 1
        turn = times[record.where]
        found.append(Document(f"{record.where}.{turn}" if turn > 1 else record.where, example.given))
    if not found:
        raise Refused("there is no text to ask about", why="every record is empty")
    return found
