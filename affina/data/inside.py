"""A cell with an inside as text: paragraphs in a list, texts in objects, a table of cells."""

from collections.abc import Mapping, Sequence
from typing import Any

from affina.core.kinds import Unusable
from affina.data import columns

HOLDS = ("text", "content", "table", "paragraph", "passage", "rows")


def text(cell: Any, column: str) -> str:
    """Plain text as it is; of a list each part with a blank line between; of a table each row a line, cells between
    bars; of an object what it holds under `text`, `content`, `table` … Raises Unusable for anything else."""
    if isinstance(cell, Mapping):
        held = columns.named([str(key) for key in cell], HOLDS)
        if not held:
            raise Unusable(f"column '{column}' holds an object without any of {', '.join(HOLDS)}")
        return text(cell[held[0]], column)
    if not isinstance(cell, list):
        return columns.plain(cell, column)
    if cell and all(isinstance(row, list) for row in cell):
        return "\n".join(" | ".join(columns.plain(each, column).strip() for each in row) for row in cell)
    return "\n\n".join(filter(str.strip, (text(part, column) for part in cell)))


def answer(cell: Any, column: str) -> str:
    """Plain text as it is; of a list its parts, a comma between."""
    if not isinstance(cell, list):
        return columns.plain(cell, column)
    return ", ".join(filter(str.strip, (columns.plain(part, column) for part in cell)))


def readable(values: Sequence[Any]) -> bool:
    """Whether most of these are texts, or hold texts."""
    found = 0
    for value in values:
        try:
            found += bool(text(value, "").strip())
        except Unusable:
            continue
    return bool(values) and found >= columns.USUAL * len(values)
