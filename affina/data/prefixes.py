"""The tree of the prefixes that rows have in common: what a batch computes once, and what batches are composed by."""

from collections.abc import Sequence
from typing import NamedTuple

from affina.core.kinds import Row

SHORTEST_SHARED = 8  # tokens: a shorter prefix costs more in one more segment than it saves


class Node(NamedTuple):
    """The tokens [start, stop) of `rows`, the places of those that agree on them, below the node `parent` (-1: a root).

    One row alone makes a leaf, which ends where the row ends.
    """

    start: int
    stop: int
    parent: int
    rows: list[int]


def shareable(row: Row) -> int:
    """How many leading tokens may be shared: those before the first target, and never the whole row."""
    supervised = row.weights != 0
    first = int(supervised.argmax()) if supervised.any() else len(row.tokens)
    return min(first, len(row.tokens) - 1)


def tree(rows: Sequence[Row], share: bool = True) -> list[Node]:
    """Every node, parents first, siblings by their first row, each followed by all that is below it.

    The rows' leaves, in the order of the list, hold every row once. Cost: linear in the rows' shared tokens.
    """
    limits = [shareable(row) if share else 0 for row in rows]
    nodes: list[Node] = []
    pending = [(group, 0, -1) for group in reversed(_alike(rows, range(len(rows)), limits, 0))]
    while pending:
        group, start, parent = pending.pop()
        if len(group) == 1:
            nodes.append(Node(start, len(rows[group[0]].tokens), parent, group))
            continue
        stop, number = _common(rows, group, limits, start), len(nodes)
        nodes.append(Node(start, stop, parent, group))
        pending += [(part, stop, number) for part in reversed(_alike(rows, group, limits, stop))]
    return nodes


def _alike(rows: Sequence[Row], group: Sequence[int], limits: list[int], depth: int) -> list[list[int]]:
    """The group divided by the next SHORTEST_SHARED tokens; a row that may not share them stands alone."""
    found: dict[bytes | int, list[int]] = {}
    reach = depth + SHORTEST_SHARED
    for r in group:
        head = rows[r].tokens[depth:reach].tobytes() if limits[r] >= reach else r
        found.setdefault(head, []).append(r)
    return [*found.values()]


def _common(rows: Sequence[Row], group: list[int], limits: list[int], depth: int) -> int:
    """The end of the longest prefix that all of `group` share and may share."""
    first = rows[group[0]].tokens
    end = min(limits[r] for r in group)
    for r in group[1:]:
        differs = first[depth:end] != rows[r].tokens[depth:end]
        if differs.any():
            end = depth + int(differs.argmax())
    return end
