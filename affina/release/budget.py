"""What a device allows, `bytes<200MB, p95<50ms`, and which of several measured models fits it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affina.core.errors import Refused, nearest

SIZES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
TIMES = {"": 1.0, "s": 1.0, "ms": 1e-3}
PLAIN = {"": 1.0}
COLUMNS = {
    "bytes": SIZES, "memory": SIZES, "load": TIMES, "p50": TIMES, "p95": TIMES, "tokens_s": PLAIN, "nats": PLAIN,
    "right": PLAIN,
}  # fmt: skip
"""What can be bound, and the units it is written in."""
WRITTEN = re.compile(r"\s*(\w+)\s*(<=|<|>=|>)\s*(\d+\.?\d*(?:e-?\d+)?|\.\d+)\s*([a-zA-Z]*)\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """One column's bound, in bytes, seconds or the column's own unit."""

    column: str
    sign: str
    value: float

    def excess(self, row: Mapping[str, Any]) -> float:
        """How many times beyond the bound a row is; at most 1 where it keeps it."""
        found, bound = float(row[self.column]), self.value
        ratio = found / bound if "<" in self.sign else bound / max(found, 1e-12)
        kept = {"<": found < bound, "<=": found <= bound, ">": found > bound, ">=": found >= bound}[self.sign]
        return min(ratio, 1.0) if kept else max(ratio, 1 + 1e-9)


def limits(text: str) -> list[Limit]:
    """Raises Refused for what is no such bound."""
    found = []
    for each in text.split(","):
        match = WRITTEN.fullmatch(each)
        if match is None:
            raise Refused(f"--fit '{each.strip()}' is no bound", instead="write it as bytes<200MB or p95<50ms")
        column, sign, number, unit = match.groups()
        if column not in COLUMNS:
            raise Refused(f"--fit: nothing measured is called '{column}'", instead=nearest(column, [*COLUMNS]))
        units = COLUMNS[column]
        if unit.lower() not in units or not 0 < float(number) < math.inf:
            raise Refused(f"--fit '{each.strip()}' is no bound", instead=f"a number above 0{_units(units)}")
        found.append(Limit(column, sign, float(number) * units[unit.lower()]))
    return found


def pick(rows: Sequence[Mapping[str, Any]], bounds: Sequence[Limit]) -> tuple[Mapping[str, Any] | None, str]:
    """The row of the best quality among those that fit, and why; else None, and which is nearest."""
    fitting = [row for row in rows if all(each.excess(row) <= 1 for each in bounds)]
    if fitting:
        best = min(fitting, key=lambda row: (row["nats"], row["bytes"]))
        return best, f"{len(fitting)} of {len(rows)} fit, and {best['name']} loses least"
    worst = {row["name"]: max(bounds, key=lambda each, row=row: each.excess(row)) for row in rows}  # type: ignore[misc]
    near = min(rows, key=lambda row: worst[row["name"]].excess(row))
    bound = worst[near["name"]]
    asked = f"{bound.column}{bound.sign}{bound.value:g}"
    return (
        None,
        f"nothing fits; {near['name']} is nearest, with {bound.column} {float(near[bound.column]):.4g} for {asked}",
    )


def _units(units: Mapping[str, float]) -> str:
    named = ", ".join(unit for unit in units if unit)
    return f" and one of {named}" if named else ""
