"""Items of a task: rows of the user's files with the columns it needs, or the bank that was written for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affina.core.errors import Refused
from affina.core.kinds import describe_columns
from affina.data.files import listed, short_names
from affina.data.recognise import readings
from affina.data.stream import Records

SUITES = Path(__file__).parent / "suites"
Rows = list[dict[str, Any]]


def items(own: str, read: Sequence[str], folder: Path, columns: Sequence[str], most: int | None = None) -> Rows:
    """The rows of `read`, relative to `folder`; of the bank `own` where nothing is read. Each has an `id`.

    Where there are more than `most`, as many of them at equal distances. Raises Refused for a row that cannot be read
    or lacks one of the columns, and where there is none.
    """
    if not read and not own:
        raise Refused("no items are given", instead=f"name a file with the columns {', '.join(columns)} under `read`")
    paths, _ = listed(list(read), folder) if read else ([SUITES / f"{own}.jsonl"], ())
    found_readings, names = readings(paths), short_names(paths)
    entries = [*Records(found_readings, [names[each.paths[0]] for each in found_readings])]
    found = []
    for id, _, record in entries:
        if record.problem:
            raise Refused(f"an item cannot be read: {record.problem}", instead="mend the row", where=record.where)
        values = record.values if isinstance(record.values, Mapping) else {}
        absent = [name for name in columns if values.get(name) in (None, "", [])]
        if absent:
            raise Refused(
                f"the item has no {' and no '.join(absent)}",
                why=f"the columns found are {', '.join(describe_columns([each.record for each in entries])) or 'none'}",
                instead=f"every row needs {', '.join(columns)}",
                where=record.where,
            )
        row = {"id": id, **values}
        found.append(row | {"id": str(row["id"])})
    if not found:
        raise Refused("there are no items", why=f"{', '.join(map(str, paths))} holds no row")
    need_distinct([row["id"] for row in found])
    return spread(found, most)


def spread(rows: Sequence[Any], most: int | None) -> list[Any]:
    """At most so many, at equal distances, in order."""
    count = len(rows) if most is None else min(most, len(rows))
    return [rows[place * len(rows) // count] for place in range(count)]


def groups(rows: Rows, *names: str) -> dict[str, tuple[str, ...]]:
    """The slices by these columns: of each that any row has, the group of every row."""
    return {name: tuple(str(row.get(name, "")) for row in rows) for name in names if any(name in row for row in rows)}


def need_distinct(ids: Sequence[str]) -> None:
    """Raises Refused for two items of one name: two models are compared item by item."""
    seen: set[str] = set()
    for id in ids:
        if id in seen:
            raise Refused(f"two items are called {id}", instead="give each an `id` of its own, or none at all")
        seen.add(id)
