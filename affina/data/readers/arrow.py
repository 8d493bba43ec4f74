"""Apache Arrow's own format, as a file (Feather V2) or a stream: one record per row, read a few rows at a time."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.ipc as ipc

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import batches
from affina.data.flatbuffer import batch_length
from affina.data.plain import chosen, refuse_unnamed

MARK = b"ARROW1"
HEAD = 8
"""Bytes before the stream that a file holds (Arrow Columnar Format, IPC File Format)."""
END = b"\xff\xff\xff\xff\0\0\0\0"
"""What a stream ends with: a message of no bytes."""
ROWS = 4096
"""Rows checked at a time, at most, after which the memory that maps the file is given back."""


class Arrow(Reader):
    """Arrow IPC and Feather V2. A row with bytes that are no text is a record with a problem."""

    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc", ".arrows")

    columns: tuple[str, ...] = ()
    """The columns to read; all of them when left out."""

    def look(self, path: Path) -> tuple[Arrow, str]:
        """This reader, and whether the file is one or a stream."""
        with _opened(path) as (mapped, reader):
            names = chosen(reader.schema.names, self.columns, path)
            kind = "file" if mapped[: len(MARK)] == MARK else "stream"
            open_end = "; nothing marks its end, so that it may be cut off"
            ended = kind == "file" or mapped[-len(END) :] == END
            return self, f"Arrow {kind} of {len(names)} columns{'' if ended else open_end}"

    def count(self, path: Path) -> int:
        """What the batches' own headers say, without what they hold."""
        with _opened(path) as (mapped, _):
            start = HEAD if mapped[: len(MARK)] == MARK else 0
            messages = ipc.MessageReader.open_stream(pa.BufferReader(pa.py_buffer(memoryview(mapped)[start:])))
            rows = 0
            while (message := _next(messages)) is not None:
                rows += batch_length(message.metadata.to_pybytes()) if message.type == "record batch" else 0
            return rows

    def records(self, path: Path) -> Iterator[Record]:
        """Every row in order; its line is its number. Raises Refused for a damaged, cut off or empty file."""
        with _opened(path) as (mapped, reader):
            names, number = chosen(reader.schema.names, self.columns, path), 1
            for batch in _batches(reader):
                kept = batch.select(names)
                size = kept.get_total_buffer_size()  # `nbytes` follows offsets, which are not checked yet
                step = batches.at_a_time(size, kept.num_rows, ROWS)
                for start in range(0, batch.num_rows, step):
                    part = _sound(kept.slice(start, step))
                    yield from batches.records(part, names, str(path), number)
                    number += part.num_rows
                    mapped.madvise(mmap.MADV_DONTNEED)
            if number == 1:
                raise Refused(f"{path} holds no rows", why="there are only columns")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[mmap.mmap, Any]]:
    """The file in memory as far as it is looked at, and its reader; bad bytes are Refused, also while it is read."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            if not head:
                raise Refused(f"{path} is empty", why="it holds no bytes")
            if head.startswith(b"FEA1"):
                raise Refused(f"{path} is a Feather V1 file", "that format is given up", "write it as Feather V2")
            if not head.startswith((MARK, b"\xff\xff\xff\xff")):
                raise Refused(
                    f"{path} is no Arrow file", "it does not begin as one", "give it the ending of what it is"
                )
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        whole = pa.py_buffer(mapped)
        reader = ipc.open_file(whole) if head.startswith(MARK) else ipc.open_stream(whole)
        refuse_unnamed(reader.schema.names, str(path), "write the file anew with a name for each column")
        yield mapped, reader
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split()) or "memory does not suffice"
        raise Refused(f"{path} cannot be read as Arrow", why[:200], "fetch or write it again") from error


def _batches(reader: Any) -> Iterator[pa.RecordBatch]:
    if isinstance(reader, ipc.RecordBatchFileReader):
        yield from map(reader.get_batch, range(reader.num_record_batches))
    else:
        yield from reader


def _sound(part: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, every offset in it checked: what a file says of itself is not to be trusted. Text that is no UTF-8
    comes as bytes, which are a problem of their own row."""
    try:
        part.validate(full=True)
        return part
    except pa.ArrowInvalid:
        kinds = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
        bytewise = pa.schema([each.with_type(kinds.get(each.type, each.type)) for each in part.schema])
        part = part.cast(bytewise)
        part.validate(full=True)
        return part


def _next(messages: Any) -> Any:
    """The next message, None after the last."""
    try:
        return messages.read_next_message()
    except StopIteration:
        return None
