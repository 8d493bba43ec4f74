"""Rows → one flat batch: a forest of segments in which an unsupervised prefix that rows share stands once, exactly."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.core.kinds import Batch, Ints, Row, Segment
from affina.data.prefixes import Node, tree


def layout(rows: Sequence[Row], share: bool = True, before: Sequence[int] = ()) -> Batch:
    """The rows' batch. With `share`, the longest common prefixes before any first target become common ancestors.

    `before`: virtual tokens that every row begins with, no part of its own: its `tokens` and its start are behind them.
    """
    own = sum(len(row.tokens) for row in rows)
    rows = [behind(row, before) for row in rows] if len(before) else rows
    nodes = tree(rows, share)
    edges = np.cumsum([0, *(node.stop - node.start for node in nodes)]).tolist()
    ahead = [int(row.said is None) for row in rows]  # a token is told from the one before it, a name from its own place
    at = [np.flatnonzero(row.weights[step:]) for row, step in zip(rows, ahead, strict=True)]  # depths of the sources
    told = [row.tokens if row.said is None else row.said for row in rows]
    sources, starts, ends = _places(nodes, edges, at, len(before))
    return Batch(
        ids=tuple(row.id for row in rows),
        tokens_T=_joined([rows[node.rows[0]].tokens[node.start : node.stop] for node in nodes]),
        depths_T=_joined([np.arange(node.start, node.stop) for node in nodes]),
        segments=tuple(Segment(edges[n], edges[n + 1], node.parent) for n, node in enumerate(nodes)),
        sources_S=_joined(sources),
        targets_S=_joined([each[i + step] for each, i, step in zip(told, at, ahead, strict=True)]),
        weights_S=np.concatenate(
            [np.zeros(0, np.float32), *(row.weights[i + step] for row, i, step in zip(rows, at, ahead, strict=True))]
        ),
        owners_S=np.repeat(np.arange(len(rows)), [len(i) for i in at]),
        starts_R=np.array(starts, dtype=np.int64),
        ends_R=np.array(ends, dtype=np.int64),
        labels_R=np.array([row.label for row in rows], dtype=np.int64),
        tokens=own,
        rows=tuple(rows),
    )


def behind(row: Row, before: Sequence[int]) -> Row:
    """The row with these unsupervised tokens before its own."""
    ahead, said, orders = np.array(before, np.int32), row.said, row.orders
    return replace(
        row,
        tokens=np.concatenate([ahead, row.tokens]),
        weights=np.concatenate([np.zeros(len(ahead), np.float32), row.weights]),
        said=None if said is None else np.concatenate([0 * ahead, said]),
        orders=None if orders is None else np.concatenate([0 * ahead - 1, orders]),
    )


def batches_of(
    rows: Sequence[Row], most_tokens: int, share: bool = True, before: Sequence[int] = ()
) -> Iterator[tuple[list[int], Batch]]:
    """Rows in groups of neighbours of at most `most_tokens` whole tokens (one row at least), with their places."""
    for group in neighbours(rows, most_tokens):
        yield group, layout([rows[i] for i in group], share, before)


def neighbours(rows: Sequence[Row], most_tokens: int) -> Iterator[list[int]]:
    """The places of rows in groups of neighbours of at most `most_tokens` tokens, one row at least."""
    group: list[int] = []
    held = 0
    for place, row in enumerate(rows):
        if group and held + len(row.tokens) > most_tokens:
            yield group
            group, held = [], 0
        group.append(place)
        held += len(row.tokens)
    if group:
        yield group


def _places(
    nodes: list[Node], edges: list[int], depths: list[Ints], start: int
) -> tuple[list[Ints], list[int], list[int]]:
    """Where in T each row's tokens at these (ascending) depths stand, the one at depth `start`, and its last token."""
    places, starts, ends = [*depths], [0] * len(depths), [0] * len(depths)
    for number, node in enumerate(nodes):
        if len(node.rows) > 1:
            continue
        (r,) = node.rows
        places[r] = depths[r] + (edges[number] - node.start)
        first = above = number
        while nodes[first].start > start:
            first = nodes[first].parent
        starts[r], ends[r] = edges[first] + start - nodes[first].start, edges[number + 1] - 1
        while len(depths[r]) and depths[r][0] < nodes[above].start:  # sources before the leaf: in its ancestors
            before, above = nodes[above].start, nodes[above].parent
            count = int(np.searchsorted(depths[r], before))
            places[r][:count] = depths[r][:count] + (edges[above] - nodes[above].start)
    return places, starts, ends


def _joined(parts: Sequence[npt.NDArray[Any]]) -> Ints:
    """The parts one after the other; of no parts, nothing (a micro-batch may be empty at an epoch's end)."""
    return np.concatenate([np.zeros(0, np.int64), *parts])
