"""Rows → one flat batch: a forest of segments in which an unsupervised prefix that rows share stands once, exactly."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from affina.core.kinds import Batch, Ints, Row, Segment
from affina.data.abreast import abreast
from affina.data.prefixes import Tree, grown, shareable
from affina.data.supervised import Supervised

TOGETHER = 8
"""Groups that one thread lays out before it takes others."""


def layout(rows: Sequence[Row], share: bool = True, before: Sequence[int] = ()) -> Batch:
    """The rows' batch. With `share`, the longest common prefixes before any first target become common ancestors.

    `before`: virtual tokens that every row begins with, no part of its own: its `tokens` and its start are behind them.
    """
    own = sum([len(row.tokens) for row in rows])
    rows = [behind(row, before) for row in rows] if len(before) else rows
    told = Supervised.of(rows)
    tree = grown(rows, shareable(rows, told.firsts_R) if share else np.zeros(len(rows), np.int64))
    edges_K = np.cumsum(tree.sizes_K)
    begins_K = edges_K - tree.sizes_K
    leaf_R = np.empty(len(rows), np.int64)
    leaf_R[tree.firsts_K[tree.leaves]] = tree.leaves
    owners_S = np.repeat(np.arange(len(rows)), told.counts_R)
    return Batch(
        ids=tuple([row.id for row in rows]),
        tokens_T=_joined([row.tokens for row in rows], tree),
        depths_T=np.arange(tree.tokens) + np.repeat(tree.starts_K - begins_K, tree.sizes_K),
        segments=tuple(map(Segment, begins_K.tolist(), edges_K.tolist(), tree.parents_K.tolist())),
        sources_S=_places(tree, begins_K, np.repeat(leaf_R, told.counts_R), told.sources_S),
        targets_S=told.targets_S,
        weights_S=told.weights_S,
        owners_S=owners_S,
        starts_R=_places(tree, begins_K, leaf_R, np.full(len(rows), len(before))),
        ends_R=edges_K[leaf_R] - 1,
        labels_R=np.array([row.label for row in rows], dtype=np.int64),
        tokens=own,
        rows=tuple(rows),
        types_T=_types(rows, tree),
    )


def behind(row: Row, before: Sequence[int]) -> Row:
    """The row with these unsupervised tokens before its own."""
    ahead, said, orders, types = np.array(before, np.int32), row.said, row.orders, row.types
    return replace(
        row,
        tokens=np.concatenate([ahead, row.tokens]),
        weights=np.concatenate([np.zeros(len(ahead), np.float32), row.weights]),
        said=None if said is None else np.concatenate([0 * ahead, said]),
        orders=None if orders is None else np.concatenate([0 * ahead - 1, orders]),
        types=None if types is None else np.concatenate([0 * ahead, types]),
    )


def batches_of(
    rows: Sequence[Row], most_tokens: int, share: bool = True, before: Sequence[int] = ()
) -> Iterator[tuple[list[int], Batch]]:
    """Rows in groups of neighbours of at most `most_tokens` whole tokens (one row at least), with their places.

    Of many groups as many times TOGETHER are laid out at once as there are cores, ahead of the one that is asked for.
    """

    def laid_out(groups: list[list[int]]) -> list[tuple[list[int], Batch]]:
        return [(group, layout(rows[group[0] : group[-1] + 1], share, before)) for group in groups]

    left = neighbours(rows, most_tokens)
    for part in abreast(laid_out, iter(lambda: [*islice(left, TOGETHER)], [])):
        yield from part


def neighbours(rows: Sequence[Row], most_tokens: int) -> Iterator[list[int]]:
    """The places of rows in groups of neighbours of at most `most_tokens` tokens, one row at least."""
    first = held = 0
    for place, row in enumerate(rows):
        length = len(row.tokens)
        if held + length > most_tokens and place > first:
            yield [*range(first, place)]
            first, held = place, 0
        held += length
    if len(rows):
        yield [*range(first, len(rows))]


def _types(rows: Sequence[Row], tree: Tree) -> Ints | None:
    """[T] where any row is of two texts; rows with the same tokens have the same."""
    if all(row.types is None for row in rows):
        return None
    return _joined([0 * row.tokens if row.types is None else row.types for row in rows], tree)


def _joined(parts: Sequence[npt.NDArray[np.int32]], tree: Tree) -> Ints:
    """[T] every node's part of its first row; of no rows none (a micro-batch may be empty at an epoch's end)."""
    if tree.shared:
        nodes = zip(tree.firsts_K.tolist(), tree.starts_K.tolist(), tree.stops_K.tolist(), strict=True)
        parts = [parts[r][start:stop] for r, start, stop in nodes]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _places(tree: Tree, begins_K: Ints, leaf_P: Ints, depths_P: Ints) -> Ints:
    """[P] where in T the tokens at these depths stand, each in its leaf or above it."""
    found: Ints = depths_P + (begins_K - tree.starts_K)[leaf_P]
    above = np.flatnonzero(depths_P < tree.starts_K[leaf_P]) if tree.shared else leaf_P[:0]
    at = leaf_P[above]
    while len(above):
        at = tree.parents_K[at]
        found[above] = depths_P[above] + begins_K[at] - tree.starts_K[at]
        left = depths_P[above] < tree.starts_K[at]
        above, at = above[left], at[left]
    return found
