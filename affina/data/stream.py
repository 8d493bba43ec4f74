"""The records of a dataset's files, in a stream that can be begun again; a sample of them, spread over all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from affina.core.kinds import Record
from affina.data import scratch
from affina.data.recognise import SAMPLE, Reading

BUFFER_BYTES = 64 << 20
"""Records kept when they are read for the first time; a larger dataset is read again instead."""
EACH_BYTES = 520
"""A record's own size beside its texts."""


class Entry(NamedTuple):
    """A record, the id its example has, and the file it is booked under."""

    id: str
    file: str
    record: Record


class Records:
    """Every record of these readings, parsed anew each time they are gone through, unless they are few."""

    def __init__(self, readings: Sequence[Reading], names: Sequence[str]) -> None:
        """`names`: for each reading how its file is called in ids."""
        self._readings = list(zip(names, readings, strict=True))
        self._tiled: dict[str, int] = {}
        left = self._parsed()
        self._kept = list(_until(left, BUFFER_BYTES))
        self._whole = next(left, None) is None
        if not self._whole:
            self._kept = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._kept) if self._whole else self._parsed()

    def sample(self) -> list[Record]:
        """At most twice SAMPLE sound records, evenly spread over all."""
        entries = self._kept if self._whole else self._parsed(counted=False)
        return spread(entry.record for entry in entries if not entry.record.problem)

    def counts(self) -> dict[str, int]:
        """Records by file, counted a second way, for the files that have one; after all have been gone through."""
        files = {scratch.shown(reading.paths[0]): reading for _, reading in self._readings}
        found = {file: reading.recount() for file, reading in files.items() if file not in self._tiled}
        return self._tiled | {file: count for file, count in found.items() if count is not None}

    def _parsed(self, counted: bool = True) -> Iterator[Entry]:
        """`counted`: also a second way, where that is done as they go by."""
        for name, reading in self._readings:
            file, line, times = scratch.shown(reading.paths[0]), 0, 0
            tiles = reading.tiles() if counted else None
            for record in tiles.watched(reading.records()) if tiles else reading.records():
                # further records that start on the same line (JSON without line ends) get `.2`, `.3` …
                line, times = record.line, times + 1 if record.line == line else 1
                yield Entry(f"{name}:{line}.{times}" if times > 1 else f"{name}:{line}", file, record)
            if tiles and tiles.records is not None:
                self._tiled[file] = tiles.records


def _until(entries: Iterator[Entry], most: int) -> Iterator[Entry]:
    """The first of these, as many as take `most` bytes in memory."""
    size = 0
    while size < most and (entry := next(entries, None)) is not None:
        size += EACH_BYTES + _size(entry.record.values)
        yield entry


def _size(values: Any) -> int:
    """Without recursion: JSON may be nested deeper than Python calls functions."""
    size, waiting = 0, [values]
    while waiting:
        each = waiting.pop()
        if isinstance(each, (Mapping, list)):
            inside = list(each.values()) if isinstance(each, Mapping) else each
            size += 60 * len(inside)
            waiting += inside
        else:
            size += 2 * len(each) if isinstance(each, str) else 32
    return size


def spread(records: Iterable[Record]) -> list[Record]:
    """Every n-th of these, the smallest n (a power of two) that leaves at most twice SAMPLE."""
    step, found = 1, []
    for place, record in enumerate(records):
        if place % step == 0:
            found.append(record)
            if len(found) > 2 * SAMPLE:
                step, found = 2 * step, found[::2]
    return found
