"""JSON lines: one object (or one string of raw text) per line; a line that is not is a record with a problem."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, Stretches
from affina.data import encoding
from affina.data.linecount import FILLED_JSON, count_lines
from affina.data.offsets import Line, located, stretches, united
from affina.data.strict_json import Decoder

SPACE = " \t\r\n"


class Jsonl(Reader):
    """One JSON object per line."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".jsonlines")

    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Jsonl, str]:
        """This reader with the encoding filled in."""
        found = encoding.detect(path, self.encoding)
        return Jsonl(encoding=found.name), f"one JSON value per line, {found.name}"

    def records(self, path: Path) -> Iterator[Record]:
        """Every line that is not blank. Raises Refused for a file of blank lines only."""
        decoder, file, empty = Decoder(), str(path), True
        lines = located(path, self.encoding)
        records = (_record(decoder, text, file, line) for line in lines if (text := line.text.strip(SPACE)))
        for record in encoding.judged(records, encoding.detect(path, self.encoding).errors):
            empty = False
            yield record
        if empty:
            raise Refused(f"{path} holds no records", why="it has blank lines only")

    def stretches(self, path: Path) -> Stretches | None:
        """Lines that are not blank, by a regular expression."""
        return stretches(path, self.encoding, lambda text: count_lines(text, FILLED_JSON))


def _record(decoder: Decoder, text: str, file: str, line: Line) -> Record:
    number, span = line.number, united([line])
    try:
        found = decoder.whole(text)
    except json.JSONDecodeError as error:
        return Record(text, file, number, f"not JSON: {error.msg} (column {error.colno})", span)
    except ValueError as error:
        return Record(text, file, number, f"not JSON: {error}", span)
    if not isinstance(found.value, (dict, str)):
        return Record(found.value, file, number, f"an object is expected, here is {type(found.value).__name__}", span)
    return Record(found.value, file, number, found.problem, span)
