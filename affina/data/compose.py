"""The order in which a window of shuffled rows is cut into batches, so that rows with a common prefix meet."""

from collections.abc import Sequence

import numpy as np

from affina.core.kinds import Ints, Row
from affina.data.prefixes import Tree, tree

WORTH = 0.1
"""The least share of a window's laid-out tokens that meeting must save; below it the shuffle stands as it is."""


def composed(rows: Sequence[Row], size: int, draws: np.random.Generator) -> Ints:
    """The places of `rows`, which come shuffled, in the order to cut into batches of `size`; a permutation.

    Rows that agree on a prefix stand together, where the first of them stood: what all rows begin with moves none, and
    neither content nor length orders anything. Then whole batches change places by `draws`. Where that saves less than
    WORTH of the tokens to compute, the order is the one given.
    """
    given = np.arange(len(rows))
    found = tree(rows)
    if not found.shared:
        return given
    grouped = _mixed(found.firsts_K[found.leaves], size, draws)
    cost = laid_out(found, given, size)
    return grouped if cost - laid_out(found, grouped, size) >= WORTH * cost else given


def laid_out(found: Tree, order: Ints, size: int) -> int:
    """Tokens to compute when the tree's rows are cut into batches of `size` in this order: a prefix once per batch."""
    batch = np.empty(len(order), dtype=np.int64)
    batch[order] = np.arange(len(order)) // size
    again = {node: len(set(batch[rows].tolist())) - 1 for node, rows in found.shared.items()}
    nodes = np.array([*again], np.int64)
    return found.tokens + int(found.sizes_K[nodes] @ np.array([*again.values()], np.int64))


def units(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Each row with those tied to it: what is drawn, counted and divided as one."""
    edges = [place for place, row in enumerate(rows) if not row.tied]
    ends = [*edges[1:], len(rows)] if edges else []
    return [rows[start:stop] for start, stop in zip(edges, ends, strict=True)]


def divided(members: Sequence[Row], parts: int) -> list[Sequence[Row]]:
    """Neighbours in `parts` groups of about equal tokens, tied rows together; with too few the last are empty."""
    return [[row for unit in part for row in unit] for part in _divided(units(members), parts)]


def _divided(members: Sequence[Sequence[Row]], parts: int) -> list[Sequence[Sequence[Row]]]:
    tokens = np.cumsum([0, *(sum(len(row.tokens) for row in unit) for unit in members)])
    middles = (tokens[:-1] + tokens[1:]) / 2
    edges = [0]
    for part in range(1, parts):
        wanted = int(np.searchsorted(middles, tokens[-1] * part / parts))
        least, most = edges[-1] + 1, len(members) - (parts - part)  # a row for each part, as long as there are any
        edges.append(min(max(least, min(wanted, most)), len(members)))
    return [members[start:stop] for start, stop in zip(edges, [*edges[1:], len(members)], strict=True)]


def _mixed(order: Ints, size: int, draws: np.random.Generator) -> Ints:
    """The order with its whole batches shuffled; a smaller last one stays last."""
    whole = len(order) // size
    mixed = draws.permutation(order[: whole * size].reshape(whole, size), axis=0).reshape(-1)
    return np.concatenate([mixed, order[whole * size :]])
