"""Examples that can be gone through again and again: in memory while they are few, else on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, compress
from tempfile import _TemporaryFileWrapper

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from affina.core.cache import disk_errors, scratch_file
from affina.core.example import Chat, Example, Pair
from affina.data import stored
from affina.data.minhash import Indices

MEMORY_BYTES = 128 << 20
"""What examples held in memory may take, as estimated; more are written out."""
EACH_BYTES = 600
"""An example's own size beside its texts."""


def held(examples: Iterable[Example]) -> Collection[Example]:
    """All of these, in order; they are of one kind. Raises Failed when the disk is full."""
    if isinstance(examples, OnDisk):
        return examples
    kept: list[Example] = []
    size, left = 0, iter(examples)
    for example in left:
        kept.append(example)
        size += EACH_BYTES + 2 * _characters(example)
        if size > MEMORY_BYTES:
            return _spilled(chain(kept, left), type(example))
    return kept


def _characters(example: Example) -> int:
    """About how much text it holds, kept columns, a rejected answer, tools and their calls included."""
    further = (example.rejected,) if isinstance(example, Pair) else getattr(example, "negatives", ())
    texts = len(example.given) + len(example.target) + sum(map(len, (*example.facts.values(), *further)))
    if not isinstance(example, Chat):
        return texts
    beside = (example.tools, example.options, *(turn.extra for turn in example.messages if turn.extra))
    return texts + sum(len(str(each)) for each in beside if each)


@dataclass(frozen=True, eq=False)
class OnDisk(Collection[Example]):
    """Examples of one kind in a file that is gone with the last one who reads it."""

    file: _TemporaryFileWrapper[bytes]
    """Open as long as it is needed: closing it removes it."""
    kept: npt.NDArray[np.bool_]
    """Which of the file's examples are meant."""

    def __len__(self) -> int:
        return int(np.count_nonzero(self.kept))

    def __iter__(self) -> Iterator[Example]:
        for batch in self.batches():
            yield from stored.decode(batch)

    def __contains__(self, example: object) -> bool:
        return any(each == example for each in self)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """They as they are stored."""
        place = 0
        with pa.OSFile(self.file.name) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                kept = self.kept[place : place + batch.num_rows]
                place += batch.num_rows
                yield batch if kept.all() else batch.filter(pa.array(kept))


def at(examples: Collection[Example], places: Indices) -> Iterator[Example]:
    """The examples at these places, which ascend; of those on disk no other is decoded."""
    if not isinstance(examples, OnDisk):
        wanted = np.zeros(len(examples), bool)
        wanted[places] = True
        yield from compress(examples, wanted.tolist())
        return
    start = 0
    for batch in examples.batches():
        first, last = np.searchsorted(places, [start, start + batch.num_rows])
        yield from stored.decode(batch.take(pa.array(places[first:last] - start)))
        start += batch.num_rows


def without(examples: Collection[Example], places: Indices) -> Collection[Example]:
    """All but the examples at these places, held as they are: those on disk are not written again."""
    keep = np.ones(len(examples), bool)
    keep[places] = False
    if not isinstance(examples, OnDisk):
        return list(compress(examples, keep.tolist()))
    kept = examples.kept.copy()
    kept[kept] = keep
    return OnDisk(examples.file, kept)


def _spilled(examples: Iterator[Example], kind: type[Example]) -> OnDisk:
    file, columns, count = scratch_file(".arrow"), stored.schema(kind), 0
    with disk_errors("prepared data"):
        with pa.ipc.new_stream(file, columns) as stream:
            for part in stored.batches(examples):
                stream.write_batch(stored.encode(part, columns))
                count += len(part)
        file.flush()
    return OnDisk(file, np.ones(count, bool))
