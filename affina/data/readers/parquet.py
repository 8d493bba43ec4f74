"""Apache Parquet: one record per row, read a few rows at a time; nested values become lists and dicts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import batches, scratch
from affina.data.plain import chosen, refuse_unnamed

BUFFER = 1 << 20
"""Bytes of a column read at a time, so that a row group need not fit in memory."""
MARK = b"PAR1"
ENCRYPTED = b"PARE"
"""How a file begins and ends whose list of columns is encrypted too (Parquet Modular Encryption, 5.1)."""


class Parquet(Reader):
    """Parquet. A row with bytes that are no text is a record with a problem, unless `columns` leaves them out."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq", ".parq")

    columns: tuple[str, ...] = ()
    """The columns to read; all of them when left out."""

    def look(self, path: Path) -> tuple[Parquet, str]:
        """This reader, and what the file says of itself."""
        with _opened(path) as file:
            groups, rows, kept = file.metadata.num_row_groups, file.metadata.num_rows, self._kept(file, path)
            beside = f", {', '.join(kept.beside)} by its folder" if kept.beside else ""
            return self, f"{rows:,} rows of {len(kept.names)} columns in {groups} row groups{beside}"

    def count(self, path: Path) -> int:
        """What the file's own metadata say."""
        with _opened(path) as file:
            return int(file.metadata.num_rows)

    def records(self, path: Path) -> Iterator[Record]:
        """Every row in order; its line is its number. Raises Refused for a damaged, encrypted or empty file."""
        with _opened(path) as file:
            kept, number = self._kept(file, path), 1
            if not file.metadata.num_rows:
                raise Refused(f"{path} holds no rows", why="there are only columns")
            groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
            step = min(batches.at_a_time(group.total_byte_size, group.num_rows) for group in groups)
            for batch in file.iter_batches(step, columns=kept.names if self.columns else None):
                for found in batches.records(batch.select(kept.names), kept.names, str(path), number):
                    yield replace(found, values={**found.values, **kept.beside}) if kept.beside else found
                number += batch.num_rows

    def _kept(self, file: Any, path: Path) -> _Kept:
        own = list(file.schema_arrow.names)
        beside = {name: value for name, value in in_folders(path).items() if name not in own}
        names = chosen([*own, *beside], self.columns, path)
        return _Kept([name for name in names if name in own], {name: beside[name] for name in names if name in beside})


class _Kept(NamedTuple):
    """What is read of a file: columns in it, and those that its folders say."""

    names: list[str]
    beside: dict[str, str | None]


def in_folders(path: Path) -> dict[str, str | None]:
    """Columns that stand in the names of the folders above, as in `label=spam/part-0.parquet`, which Hive began."""
    found: dict[str, str | None] = {}
    for folder in reversed(Path(scratch.shown(path)).parent.parts):
        name, sign, value = folder.partition("=")
        if not name or not sign:
            break
        found[unquote(name)] = None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file; what the library says of bad bytes is Refused, also while it is read."""
    try:
        _refuse_unlike(path)
        with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True) as file:
            refuse_unnamed(file.schema_arrow.names, str(path), "write the file anew with a name for each column")
            yield file
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split()) or "memory does not suffice"
        if "crypt" in why.lower():
            raise Refused(f"{path} is encrypted", why[:200], "write it without encryption first") from error
        raise Refused(f"{path} cannot be read as Parquet", why[:200], "fetch or write it again") from error


def _refuse_unlike(path: Path) -> None:
    """Raises Refused for what neither begins nor ends as Parquet does."""
    with path.open("rb") as file:
        head, size = file.read(4), file.seek(0, 2)
        file.seek(max(0, size - 4))
        tail = file.read()
    if not size:
        raise Refused(f"{path} is empty", why="it holds no bytes")
    if ENCRYPTED in (head, tail):
        raise Refused(f"{path} is encrypted", "its list of columns is", "write it without encryption first")
    if head != MARK:
        raise Refused(f"{path} is no Parquet file", "it does not begin as one", "give it the ending of what it is")
    if tail != MARK or size < 12:
        raise Refused(f"{path} is cut off", "its end, where the columns are listed, is not there", "fetch it again")
