"""Several labels or words in one cell: a list, a list written as text (JSON's or Python's way), or delimited text."""

import json
import re
from collections.abc import Sequence
from typing import Any

QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
WRITTEN = re.compile(rf"\s*(?:(?:{QUOTED})(?:(?:\s*,\s*|\s+)(?:{QUOTED}))*)?\s*,?\s*", re.DOTALL)
DELIMITERS = ("|", ";", ",")
SHORT = 40
"""The mean length of a label, in characters, above which pieces of text are no labels."""


def items(cell: Any) -> list[Any] | None:
    """The list that a cell is, or writes: `["a"]`, `['a', 'b']`, `['a' 'b']`, `[a, b]`. None where it is no list."""
    if isinstance(cell, list):
        return cell
    text = cell.strip() if isinstance(cell, str) else ""
    if len(text) < 2 or text[0] != "[" or text[-1] != "]":
        return None
    try:
        found = json.loads(text)
        return found if isinstance(found, list) else None
    except (ValueError, RecursionError):
        return _written(text[1:-1])


def _written(inside: str) -> list[Any] | None:
    if WRITTEN.fullmatch(inside):
        return [re.sub(r"\\(.)", r"\1", each[1:-1]) for each in re.findall(QUOTED, inside, re.DOTALL)]
    if re.search(r"""['"\[\]{}]""", inside):
        return None
    return [each.strip() for each in inside.split(",") if each.strip()]


def delimiter(cells: Sequence[str]) -> str:
    """What stands between the labels of a cell; empty where cells do not read like sets of a few labels."""
    filled = set(filter(None, cells))
    for mark in DELIMITERS:
        pieces = [{piece.strip() for piece in cell.split(mark)} - {""} for cell in filled]
        kinds = set().union(*pieces)
        meets_elsewhere = sum(map(len, pieces)) > len(kinds)
        if any(len(each) > 1 for each in pieces) and meets_elsewhere and len(kinds) <= len(filled) and short(kinds):
            return mark
    return ""


def short(labels: set[str]) -> bool:
    """Whether these are as short as labels are."""
    return sum(map(len, labels)) <= SHORT * len(labels)


def lists_of_labels(cells: Sequence[Any]) -> bool:
    """Whether nearly every cell is a list of short texts, and the same few texts come again and again."""
    found = [items(cell) for cell in cells if cell not in (None, "")]
    lists = [each for each in found if each is not None and all(_is_label(one) for one in each)]
    labels = [str(label) for each in lists for label in each]
    return bool(labels) and len(lists) == len(found) and 2 * len(set(labels)) <= len(labels) and short(set(labels))


def _is_label(one: Any) -> bool:
    """A text, or a class's number."""
    return isinstance(one, str) or (isinstance(one, int) and not isinstance(one, bool))
