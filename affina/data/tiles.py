"""Records counted by the bytes of a text file: with what stands between them they make it up, and hide no other."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from affina.core.errors import Failed
from affina.core.kinds import Reader, Record, Span, Stretches

CHUNK = 1 << 20
STRETCH = 1 << 18
"""Bytes that are counted at once, where a gap or a record of several lines is met."""


class Tiles:
    """The second count of one file, kept while its records go by.

    Between two records nothing may stand that is one; of a record of several lines the bytes hold one.
    """

    def __init__(self, path: Path, stretches: Stretches) -> None:
        self._path, self._stretches = path, stretches
        self._found = -stretches.headers
        self._open: Span | None = None  # what is still to be counted
        self.records: int | None = None
        """How many the file holds, once all have gone by."""

    def watched(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records. Raises Failed for bytes of two records, and for those that the file does not have."""
        at = 0
        with self._path.open("rb") as file:
            for record in records:
                span = record.span
                assert span is not None, "a reader of stretches gives every record its bytes"
                if not at <= span.start < span.stop:
                    raise _fault(self._path, f"bytes {span.start} to {span.stop} follow byte {at}")
                if span.start > at:
                    self._take(file, Span(at, span.start))
                if span.lines == 1 and self._open is None:
                    self._found += 1
                else:  # several lines could be several records
                    self._take(file, span)
                at = span.stop
                yield record
            size = file.seek(0, 2)
            if at > size:
                raise _fault(self._path, f"the last record ends at byte {at} of {size}")
            if at < size:
                self._take(file, Span(at, size))
            self._close(file)
        self.records = self._found

    def _take(self, file: BinaryIO, span: Span) -> None:
        """Adds bytes to the open stretch, which is counted when it is long."""
        self._open = Span(self._open.start if self._open else span.start, span.stop)
        if self._stretches.apart or self._open.stop - self._open.start > STRETCH:
            self._close(file)

    def _close(self, file: BinaryIO) -> None:
        if self._open is not None:
            self._found += self._stretches.count(_text(file, self._open, self._stretches))
            self._open = None


class Places:
    """The second count of a file whose records another method finds too, kept while they go by: each is at its place,
    and everything else is what stands between."""

    def __init__(self, path: Path, places: Iterator[Span]) -> None:
        self._path, self._places = path, places
        self.records: int | None = None
        """How many the file holds, once all have gone by."""

    def watched(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records. Raises Failed, after the last one, where one is not at its place: a file that is refused
        further on has no places to speak of."""
        wrong, found = "", 0
        for number, record in enumerate(records, 1):
            place = next(self._places, None)
            if place != record.span and not wrong:
                told = [f"bytes {each.start} to {each.stop}" if each else "none" for each in (record.span, place)]
                wrong = f"record {number} was read from {told[0]}, and found another way at {told[1]}"
            found += place is not None
            yield record
        if wrong:
            raise _fault(self._path, wrong)
        self.records = found + sum(1 for _ in self._places)


def tiled(reader: Reader, path: Path) -> Tiles | Places | None:
    """The second count of a text file by its bytes; None where there is none."""
    places = reader.places(path)
    if places is not None:
        return Places(path, places)
    stretches = reader.stretches(path)
    return Tiles(path, stretches) if stretches else None


def recount(reader: Reader, path: Path) -> int | None:
    """The records of one file, counted a second way: by its bytes, or as the reader can; None where there is none."""
    tiles = tiled(reader, path)
    if tiles is None:
        return reader.count(path)
    for _ in tiles.watched(reader.records(path)):
        pass
    return tiles.records


def _fault(path: Path, why: str) -> Failed:
    instead = "this is a fault of the reader, or the file changed meanwhile: please report it with the file"
    return Failed("the ledger does not add up", why=f"{path}: {why}", instead=instead)


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
