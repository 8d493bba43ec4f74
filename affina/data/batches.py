"""Arrow's record batches as records: some rows at a time, bad bytes a problem of their own row."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from affina.core.kinds import Record
from affina.data.plain import record

ROWS = 256
"""Rows that stand in memory as Python objects at a time, where they are short."""
BYTES = 16 << 20
"""Of long rows, so many as take these bytes together, but one at least."""


def records(batch: pa.RecordBatch, names: Sequence[str], file: str, number: int) -> Iterator[Record]:
    """The rows of a batch; the first is the `number`th of its file."""
    step = at_a_time(batch.nbytes, batch.num_rows)
    for start in range(0, batch.num_rows, step):
        part = batch.slice(start, step)
        try:
            columns = [_listed(column) for column in part.columns]
        except (ValueError, OverflowError, KeyError):  # KeyError: a map with a key twice
            yield from _one_by_one(part, names, file, number + start)
            continue
        for place, values in enumerate(zip(*columns, strict=True) if columns else [()] * part.num_rows):
            yield record(names, values, file, number + start + place)


def at_a_time(size_bytes: int, rows: int, most: int = ROWS) -> int:
    """How many rows, at most `most`, to take at a time where so many take so many bytes."""
    return max(1, min(most, BYTES * rows // max(1, size_bytes)))


def _one_by_one(part: pa.RecordBatch, names: Sequence[str], file: str, number: int) -> Iterator[Record]:
    """Rows of which at least one cannot be had as it stands."""
    for place in range(part.num_rows):
        values, problems = [], []
        for name, column in zip(names, part.columns, strict=True):
            value, problem = _value(column.slice(place, 1))
            values.append(value)
            problems += [f"column '{name}' {problem}"] if problem else []
        found = record(names, values, file, number + place)
        yield Record(found.values, file, found.line, "; ".join(filter(None, [found.problem, *problems])))


def _value(cell: pa.Array) -> tuple[Any, str]:
    """What one cell holds, or what is wrong with it; times finer than a microsecond are text with all their digits."""
    try:
        return _listed(cell)[0], ""
    except UnicodeDecodeError:
        return None, "holds bytes that are no UTF-8"
    except KeyError:
        return None, "holds a map with the same key twice"
    except OverflowError:
        return None, "holds a time outside the years 1 to 9999"
    except ValueError:
        pass
    try:
        return _listed(cell.cast(_as_text(cell.type)))[0], ""
    except (pa.ArrowException, ValueError):
        return None, f"holds a {cell.type} that cannot be written as text"


def _listed(column: pa.Array) -> list[Any]:
    """The column as Python has it. Raises ValueError for a duration finer than a microsecond, whatever is installed:
    beside pandas the library would give one of its own."""
    kind = _replaced(column.type, lambda inner: pa.duration("us") if inner == pa.duration("ns") else inner)
    plain = column if kind == column.type else column.cast(kind)
    listed: list[Any] = plain.to_pylist(maps_as_pydicts="strict")
    return listed


def _as_text(kind: pa.DataType) -> pa.DataType:
    """The type with text in place of dates and times, at any depth."""

    def text(inner: pa.DataType) -> pa.DataType:  # a duration's text would be a number without its unit
        return pa.string() if pa.types.is_temporal(inner) and not pa.types.is_duration(inner) else inner

    return _replaced(kind, text)


def _replaced(kind: pa.DataType, by: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """The type with what `by` gives in place of every type inside it that holds no other."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = _replaced(kind.value_type, by)
        return kind if inner == kind.value_type else pa.list_(inner)
    if pa.types.is_struct(kind):
        return pa.struct([(inner.name, _replaced(inner.type, by)) for inner in kind])
    if pa.types.is_map(kind):
        return pa.map_(_replaced(kind.key_type, by), _replaced(kind.item_type, by))
    return by(kind)
