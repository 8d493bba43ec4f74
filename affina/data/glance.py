"""A column looked at while its cells pass by: in how many rows it stands, what it holds, an equal sample of it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from affina.data.reservoir import Reservoir

SAMPLED = 500
"""Cells kept: how many different ones there are is told of these."""
CELLS = 3
"""Cells that are shown."""
SHORT = 80
"""Characters of a cell that are shown."""


class Glance:
    """Add every cell of one column."""

    def __init__(self) -> None:
        self.rows = self.filled = 0
        self._sample: Reservoir[tuple[str, str]] = Reservoir(SAMPLED)

    def add(self, cell: Any) -> None:
        """One more cell; an empty one, or nothing but white space, is not filled."""
        self.rows += 1
        if cell is None or cell == "" or cell == [] or cell == {} or (isinstance(cell, str) and cell.isspace()):
            return
        self.filled += 1
        if self._sample.wanted():
            self._sample.hold((_kind(cell), _short(cell)))

    def summary(self) -> dict[str, Any]:
        """What it holds, rows that have it, cells that are filled, how many differ in the sample, some of them."""
        kept = self._sample.kept
        different = list(dict.fromkeys(cell for _, cell in kept))
        return {
            "holds": " or ".join(kind for kind, _ in Counter(kind for kind, _ in kept).most_common(2)) or "nothing",
            "rows": self.rows,
            "filled": self.filled,
            "different": len(different),
            "of": len(kept),
            "cells": different[:CELLS],
        }


def _kind(cell: Any) -> str:
    if isinstance(cell, str):
        return "numbers" if _is_number(cell) else "text"
    if isinstance(cell, bool):
        return "true or false"
    if isinstance(cell, (int, float)):
        return "numbers"
    return "objects" if isinstance(cell, Mapping) else "lists" if isinstance(cell, list) else type(cell).__name__


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ".", 1))
    except ValueError:
        return False
    return True


def _short(cell: Any) -> str:
    text = " ".join((cell if isinstance(cell, str) else repr(cell))[: 4 * SHORT].split())
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"
