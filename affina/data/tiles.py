"""Records counted by the bytes of a text file: with what stands between them they make it up, and hide no other."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from affina.core.errors import Failed
from affina.core.kinds import Reader, Record, Span, Stretches

CHUNK = 1 << 20


class Tiles:
    """The second count of one file, kept while its records go by.

    Between two records nothing may stand that is one; of a record of several lines the bytes hold one.
    """

    def __init__(self, path: Path, stretches: Stretches) -> None:
        self._path, self._stretches = path, stretches
        self.records: int | None = None
        """How many the file holds, once all have gone by."""

    def watched(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records. Raises Failed for bytes of two records, and for those that the file does not have."""
        at, found = 0, -self._stretches.headers
        with self._path.open("rb") as file:
            for record in records:
                span = record.span
                assert span is not None, "a reader of stretches gives every record its bytes"
                if not at <= span.start < span.stop:
                    raise self._fault(f"bytes {span.start} to {span.stop} follow byte {at}")
                if span.start > at:
                    found += self._count(file, Span(at, span.start))
                found += 1 if span.lines == 1 else self._count(file, span)
                at = span.stop
                yield record
            size = file.seek(0, 2)
            if at > size:
                raise self._fault(f"the last record ends at byte {at} of {size}")
            self.records = found + (self._count(file, Span(at, size)) if at < size else 0)

    def _count(self, file: BinaryIO, span: Span) -> int:
        return self._stretches.count(_text(file, span, self._stretches))

    def _fault(self, why: str) -> Failed:
        instead = "this is a fault of the reader, or the file changed meanwhile: please report it with the file"
        return Failed("the ledger does not add up", why=f"{self._path}: {why}", instead=instead)


def recount(reader: Reader, path: Path) -> int | None:
    """The records of one file, counted a second way: by its bytes, or as the reader can; None where there is none."""
    stretches = reader.stretches(path)
    if stretches is None:
        return reader.count(path)
    tiles = Tiles(path, stretches)
    for _ in tiles.watched(reader.records(path)):
        pass
    return tiles.records


def _text(file: BinaryIO, span: Span, stretches: Stretches) -> Iterator[str]:
    """The stretch in pieces, none of which ends between a \\r and its \\n."""
    decoder = codecs.getincrementaldecoder(stretches.codec)(stretches.errors)
    file.seek(max(span.start, stretches.mark))
    left, carry = span.stop - file.tell(), ""
    while left > 0:
        piece = file.read(min(left, CHUNK))
        left = left - len(piece) if piece else 0
        text = carry + decoder.decode(piece, final=left == 0)
        carry = "\r" if text.endswith("\r") and left else ""
        yield text[: len(text) - len(carry)]
