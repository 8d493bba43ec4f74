"""Examples on disk as Arrow columns: Parquet for prepared splits, an Arrow stream for what does not fit in memory."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import Field, fields
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from affina.core import example as kinds
from affina.core.errors import Refused
from affina.core.example import Example, Message

ROWS = 2048
"""Examples that are encoded and written at a time."""
MOST = 2**31 - 1
"""Bytes of so many texts, which Arrow's strings have edges of 32 bits for."""
SHARED = "labels"
"""A field that is the same for all examples: it is not written, and set again when all are known."""
ASKED = "opening"
"""A field that an objective sets where it asks: data have none."""
EXTRA = "extra"
"""What a turn holds beside its role and content, as JSON."""
TURN = pa.struct([("role", pa.string()), ("content", pa.string()), (EXTRA, pa.string())])
TYPES = {"str": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
"""Arrow's type for each annotation of an example's fields; what is neither these nor a list of texts is JSON."""
PLAIN = json.JSONEncoder(ensure_ascii=False)


def schema(kind: type[Example], notes: Mapping[str, str] | None = None) -> pa.Schema:
    """The columns of this kind of example; its name and `notes` stand in the schema's metadata."""
    columns = [(each.name, _type(each)) for each in _kept(kind)]
    return pa.schema(columns, metadata={"example": kind.__name__, **(notes or {})})


def encode(examples: Sequence[Example], columns: pa.Schema, errors: str = "strict") -> pa.RecordBatch:
    """Examples of one kind as columns, all that they have or some. Half a surrogate pair is what UTF-8 cannot hold:
    with errors="surrogatepass" the bytes of its text are right, and no reader of text takes them."""
    arrays = [_array([*map(attrgetter(column.name), examples)], column.type, errors) for column in columns]
    return pa.record_batch(arrays, schema=columns)


def in_json(columns: pa.Schema) -> frozenset[str]:
    """Which of these columns hold JSON."""
    return frozenset(each.name for each in _kept(_kind(columns)) if each.type is not str and _type(each) == pa.string())


def decode(batch: pa.RecordBatch, labels: tuple[str, ...] = ()) -> Iterator[Example]:
    """The examples that these columns hold; `labels` are given to those that have a label set."""
    kind = _kind(batch.schema)
    readers = [(each, _reader(each)) for each in _kept(kind)]
    columns = {each.name: map(read, batch.column(each.name).to_pylist()) for each, read in readers}
    given: dict[str, Any] = {SHARED: labels} if SHARED in (each.name for each in fields(kind)) else {}
    for cells in zip(*columns.values(), strict=True):
        yield kind(**dict(zip(columns, cells, strict=True)), **given)


class Writer:
    """A Parquet file of examples of one kind, readable by its owner only, written as they come."""

    def __init__(self, path: Path, kind: type[Example], notes: Mapping[str, str]) -> None:
        self.columns, self.count = schema(kind, notes), 0
        self._waiting: list[Example] = []
        path.touch(mode=0o600)
        self._file = pq.ParquetWriter(path, self.columns, compression="zstd")

    def add(self, example: Example) -> None:
        self._waiting.append(example)
        if len(self._waiting) == ROWS:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """Writes what waits, and the file's end; after an error the file is left as it is."""
        try:
            if kind is None:
                self._flush()
                self._file.close()
        finally:
            self._file.is_open = False  # or the library tries once more, unheard, to end what could not be written

    def _flush(self) -> None:
        if self._waiting:
            self._file.write_batch(encode(self._waiting, self.columns))
            self.count += len(self._waiting)
            self._waiting = []


def read_parquet(path: Path, labels: tuple[str, ...] = ()) -> Iterator[Example]:
    """The examples of a file, in a stream, with their label set."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS):
            yield from decode(batch.replace_schema_metadata(file.schema_arrow.metadata), labels)


def batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """Lists of at most ROWS."""
    left = iter(examples)
    while part := list(islice(left, ROWS)):
        yield part


def _kept(kind: type[Example]) -> list[Field[Any]]:
    return [each for each in fields(kind) if each.name not in (SHARED, ASKED)]


def _type(field: Field[Any]) -> pa.DataType:
    if field.type == tuple[str, ...]:
        return pa.list_(pa.string())
    if field.type == tuple[Message, ...]:
        return pa.list_(TURN)
    return TYPES.get(getattr(field.type, "__name__", ""), pa.string())


def _kind(columns: pa.Schema) -> type[Example]:
    kind: type[Example] = getattr(kinds, columns.metadata[b"example"].decode())
    return kind


def _array(cells: Sequence[Any], kind: pa.DataType, errors: str) -> pa.Array:
    """Not by `pa.array`, which loads all of pandas where that is installed."""
    if pa.types.is_list(kind):
        each = [one for cell in cells for one in cell]
        inner = _turns(each, errors) if kind.value_type == TURN else texts(each, errors)
        return pa.Array.from_buffers(kind, len(cells), [None, _edges(cells)], children=[inner])
    if pa.types.is_string(kind):
        return texts(cells if {*map(type, cells)} == {str} else [*map(_written, cells)], errors)
    numbers = np.array(cells, kind.to_pandas_dtype())
    packed = np.packbits(numbers, bitorder="little") if pa.types.is_boolean(kind) else numbers
    return pa.Array.from_buffers(kind, len(cells), [None, pa.py_buffer(packed)])


def texts(cells: Sequence[str], errors: str = "strict") -> pa.Array:
    """A column of them."""
    encoded = [cell.encode("utf-8", errors) for cell in cells]
    return pa.StringArray.from_buffers(len(encoded), _edges(encoded), pa.py_buffer(b"".join(encoded)))


def _edges(parts: Sequence[Sized]) -> pa.Buffer:
    """Where each part begins, and where the last one ends. Raises Refused where these are too many for the format."""
    edges = np.cumsum([0, *map(len, parts)])
    if edges[-1] > MOST:
        what = f"{len(parts):,} texts together have {edges[-1]:,} bytes"
        raise Refused(what, f"at most {MOST:,} can be kept", "divide the longest into rows")
    return pa.py_buffer(edges.astype(np.int32))


def _turns(messages: Sequence[Message], errors: str) -> pa.Array:
    extras = [_written(turn.extra) if turn.extra else "" for turn in messages]
    cells = ([turn.role for turn in messages], [turn.content for turn in messages], extras)
    return pa.StructArray.from_arrays([texts(each, errors) for each in cells], fields=[*TURN])


def _written(cell: Any) -> str:
    return cell if isinstance(cell, str) else PLAIN.encode(cell)


def _reader(field: Field[Any]) -> Any:
    """What turns a cell of this field back."""
    if field.type == tuple[Message, ...]:
        return lambda turns: tuple(
            Message(each["role"], each["content"], json.loads(each["extra"]) if each["extra"] else {}) for each in turns
        )
    if field.type == tuple[str, ...]:
        return tuple
    if getattr(field.type, "__name__", "") in TYPES:
        return lambda cell: cell
    return _parsed


def _parsed(cell: str) -> Any:
    """JSON; an array at the top is a tuple, and so are arrays right in it, as examples hold them."""
    if cell == "{}":  # facts that no one asked for: in most rows
        return {}
    found = json.loads(cell)
    if not isinstance(found, list):
        return found
    return tuple(tuple(each) if isinstance(each, list) else each for each in found)
