"""64 bits of what each example shows and teaches: white space, its origin and the order of a mapping's keys do not
count. Computed column by column, on all cores, whether the examples are in memory or on disk."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from affina.core.example import Example, Message
from affina.data import stored
from affina.data.abreast import abreast
from affina.data.bits import bits
from affina.data.fingerprints import fingerprints, folded
from affina.data.held import OnDisk
from affina.data.minhash import Hashes

ASIDE = ("id", "split", stored.SHARED, "facts", "origin", "made", stored.ASKED)
"""What says where an example came from or how it is asked, not what it teaches."""
BYTES = 1 << 19
"""Bytes hashed at a time, about; their numbers take ten times as much."""


def contents(examples: Collection[Example]) -> Hashes:
    """[N]: equal for two that are of one kind and teach the same, and for two others once in 2^64."""
    found, place = np.empty(len(examples), np.uint64), 0
    for part in abreast(_contents, _parts(_batches(examples))):
        found[place : place + len(part)] = part
        place += len(part)
    return found


def taught(example: Example) -> str:
    """All that `contents` looks at, as one text: what only seems to be equal is told apart by it."""
    kind: Any = type(example)
    told = [getattr(example, each.name) for each in fields(kind) if each.name not in ASIDE]
    return json.dumps([kind.__name__, *map(_plain, told)])


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, Message):
        return [_plain(value.role), _plain(value.content), _plain(json.dumps(value.extra, sort_keys=True))]
    return [*map(_plain, value)] if isinstance(value, tuple) else _plain(json.dumps(value, sort_keys=True))


def _batches(examples: Collection[Example]) -> Iterator[pa.RecordBatch]:
    """What they teach as columns, those in a batch of one kind."""
    if isinstance(examples, OnDisk):
        for batch in examples.batches():
            yield batch.select(_taught(batch.schema).names)
        return
    for part in stored.batches(examples):
        for kind, alike in groupby(part, type):
            yield _encoded([*alike], _taught(stored.schema(kind)))


def _encoded(examples: Sequence[Example], columns: pa.Schema) -> pa.RecordBatch:
    try:
        return stored.encode(examples, columns)
    except UnicodeEncodeError:  # half a surrogate pair, which a file cannot hold
        return stored.encode(examples, columns, "surrogatepass")


def _taught(columns: pa.Schema) -> pa.Schema:
    return pa.schema([each for each in columns if each.name not in ASIDE], metadata=columns.metadata)


def _parts(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Of one kind and of about BYTES together: large enough that threads seldom wait for the interpreter."""
    part: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        step = max(1, BYTES * batch.num_rows // max(1, batch.nbytes))
        for piece in (batch.slice(start, step) for start in range(0, batch.num_rows, step)):
            if part and (size >= BYTES or not piece.schema.equals(part[0].schema, check_metadata=True)):
                yield part
                part, size = [], 0
            part.append(piece)
            size += piece.nbytes
    if part:
        yield part


def _contents(part: Sequence[pa.RecordBatch]) -> Hashes:
    """[N] of examples as they are stored."""
    batch = pa.concat_batches(part) if len(part) > 1 else part[0]
    in_json, kind = stored.in_json(batch.schema), bits(batch.schema.metadata[b"example"].decode())
    columns = [_of(column, name in in_json) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
    return _together([np.full(batch.num_rows, kind, np.uint64), *columns])


def _of(column: pa.Array, in_json: bool = False) -> Hashes:
    """[N] of a column of any type that examples are stored in."""
    if pa.types.is_list(column.type):
        edges = _numbers(column.offsets, np.int32).astype(np.int64)
        return folded(_of(column.flatten()), edges - edges[0])
    if pa.types.is_struct(column.type):
        parts = zip(column.flatten(), column.type, strict=True)
        return _together([_of(part, kind.name == stored.EXTRA) for part, kind in parts])
    if pa.types.is_floating(column.type):
        return _numbers(column, np.uint64)
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        return _numbers(column.cast(pa.int64()), np.uint64)
    return fingerprints(_ordered(column) if in_json else column)


def _numbers(column: pa.Array, kind: Any) -> npt.NDArray[Any]:
    """The bits of a column without gaps; `to_numpy` would load all of pandas where that is installed."""
    return np.frombuffer(column.buffers()[1], kind)[column.offset : column.offset + len(column)]


def _together(columns: Sequence[Hashes]) -> Hashes:
    """[N] of several columns of N."""
    values = np.stack(columns, axis=1).reshape(-1)
    return folded(values, np.arange(0, len(values) + 1, len(columns)))


def _ordered(column: pa.Array) -> pa.Array:
    """JSON with the keys of each mapping in order. What is the same in many rows is read once."""
    coded = column.dictionary_encode()
    texts = [each.decode("utf-8", "surrogatepass") for each in coded.dictionary.view(pa.binary()).to_pylist()]
    ordered = [json.dumps(json.loads(text), sort_keys=True) if "{" in text else text for text in texts]
    return column if ordered == texts else stored.texts(ordered).take(coded.indices)
