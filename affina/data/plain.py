"""Values of typed sources (Parquet, Arrow, databases) as plain data: what JSON can hold, dates and decimals as text."""

import datetime
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Any
from uuid import UUID

from affina.core.errors import Refused, nearest
from affina.core.kinds import Record

ADDRESSES = (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)


def plain(value: Any) -> Any:
    """The value as None, a truth value, a number, text, a list or a dict of such. Raises ValueError with the reason.

    A decimal is written out, a date and a time are ISO 8601 (`2024-05-01 09:30:00+02:00`), bytes are UTF-8 text; a
    number that is not one (NaN), which is how many tools write a missing one, is None.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else plain(float(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _text(bytes(value))
    if isinstance(value, Mapping):
        return {_key(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    return _written(value)


def record(names: Sequence[str], values: Iterable[Any], file: str, number: int) -> Record:
    """One row, the `number`th; what cannot be plain data makes it a record with a problem."""
    held: dict[str, Any] = {}
    problems = []
    for name, value in zip(names, values, strict=True):
        try:
            held[name] = plain(value)
        except ValueError as error:
            held[name] = None
            problems.append(f"column '{name}' {error}")
    return Record(held, file, number, "; ".join(problems))


def refuse_unnamed(names: Sequence[str], file: str, instead: str) -> None:
    """Raises Refused where a column has no name, or two have the same."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refused(f"{file} has two columns called '{twice}'", "one would hide the other", instead)
    unnamed = next((place for place, name in enumerate(names, 1) if not name.strip()), None)
    if unnamed is not None:
        raise Refused(f"{file} has a column without a name", f"it is number {unnamed}", instead)


def chosen(names: Sequence[str], asked: Sequence[str], file: Path) -> list[str]:
    """The columns to read, in the file's order. Raises Refused for one that it does not have."""
    for name in asked:
        if name not in names:
            raise Refused(f"{file} has no column '{name}'", instead=nearest(name, list(names)))
    return [name for name in names if not asked or name in asked]


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"holds {len(value):,} bytes that are no text") from None


def _key(key: Any) -> str:
    made = plain(key)
    return made if isinstance(made, str) else str(made)


def _written(value: Any) -> Any:
    """Of the rarer kinds."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (datetime.timedelta, UUID, *ADDRESSES)):
        return str(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return plain(float(value))
    raise ValueError(f"holds a {type(value).__name__}, which is no text, number, date or list")
