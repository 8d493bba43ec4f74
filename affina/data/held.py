"""Examples that can be gone through again and again: in memory while they are few, else on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import _TemporaryFileWrapper

import pyarrow as pa

from affina.core.cache import disk_errors, scratch_file
from affina.core.example import Chat, Example, Pair
from affina.data import stored

MEMORY_BYTES = 128 << 20
"""What examples held in memory may take, as estimated; more are written out."""
EACH_BYTES = 600
"""An example's own size beside its texts."""


def held(examples: Iterable[Example]) -> Collection[Example]:
    """All of these, in order; they are of one kind. Raises Failed when the disk is full."""
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


@dataclass(frozen=True)
class OnDisk(Collection[Example]):
    """Examples of one kind in a file that is gone with the last one who reads it."""

    file: _TemporaryFileWrapper[bytes]
    """Open as long as it is needed: closing it removes it."""
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Example]:
        with Path(self.file.name).open("rb") as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield from stored.decode(batch)

    def __contains__(self, example: object) -> bool:
        return any(each == example for each in self)


def _spilled(examples: Iterator[Example], kind: type[Example]) -> OnDisk:
    file, columns, count = scratch_file(".arrow"), stored.schema(kind), 0
    with disk_errors("prepared data"):
        with pa.ipc.new_stream(file, columns) as stream:
            for part in stored.batches(examples):
                stream.write_batch(stored.encode(part, columns))
                count += len(part)
        file.flush()
    return OnDisk(file, count)
