"""JSON lines: one object (or one string of raw text) per line; a line that is not is a record with a problem."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import encoding
from affina.data.linecount import FILLED_JSON, count_lines
from affina.data.lines import batches, chunks
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
        with encoding.open_text(path, self.encoding) as stream:
            lines = enumerate(chain.from_iterable(batches(stream, file)), 1)
            written = ((number, text) for number, line in lines if (text := line.strip(SPACE)))
            records = (_record(decoder, text, file, number) for number, text in written)
            for record in encoding.judged(records, stream.errors):
                empty = False
                yield record
        if empty:
            raise Refused(f"{path} holds no records", why="it has blank lines only")

    def count(self, path: Path) -> int:
        """The records, by a regular expression over chunks of the text."""
        with encoding.open_text(path, self.encoding) as stream:
            return count_lines(chunks(stream), FILLED_JSON)


def _record(decoder: Decoder, line: str, file: str, number: int) -> Record:
    try:
        found = decoder.whole(line)
    except json.JSONDecodeError as error:
        return Record(line, file, number, f"not JSON: {error.msg} (column {error.colno})")
    except ValueError as error:
        return Record(line, file, number, f"not JSON: {error}")
    if not isinstance(found.value, (dict, str)):
        return Record(found.value, file, number, f"an object is expected, here is {type(found.value).__name__}")
    return Record(found.value, file, number, found.problem)
