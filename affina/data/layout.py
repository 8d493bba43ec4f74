"""Rows → one flat batch: a forest of segments in which an unsupervised prefix that rows share stands once, exactly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.core.kinds import Batch, Row, Segment

SHORTEST_SHARED = 8  # tokens: a shorter prefix costs more in one more segment than it saves

Tokens = npt.NDArray[np.int32]


@dataclass(slots=True)
class _Forest:
    """The flat sequence as it grows. `paths[r]` lists the (start, stop) runs of T that spell out row r."""

    tokens: list[Tokens] = field(default_factory=list)
    depths: list[npt.NDArray[np.int64]] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    paths: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    size: int = 0

    def add(self, tokens: Tokens, depth: int, parent: int) -> int:
        """Appends a segment that begins `depth` tokens into its rows; returns its number."""
        self.tokens.append(tokens)
        self.depths.append(np.arange(depth, depth + len(tokens)))
        self.segments.append(Segment(self.size, self.size + len(tokens), parent))
        self.size += len(tokens)
        return len(self.segments) - 1

    def runs(self, number: int) -> list[tuple[int, int]]:
        """The runs of T from the root to the end of this segment."""
        segment = self.segments[number]
        above = self.runs(segment.parent) if segment.parent >= 0 else []
        return [*above, (segment.start, segment.stop)]


def layout(rows: Sequence[Row], share: bool = True) -> Batch:
    """The rows' batch. With `share`, the longest common prefixes before any first target become common ancestors."""
    forest = _Forest()
    limits = [_shareable(row) if share else 0 for row in rows]
    _grow(forest, rows, list(range(len(rows))), limits, 0, -1)
    places = [np.concatenate([np.arange(*run) for run in forest.paths[r]]) for r in range(len(rows))]
    sources, targets, weights, owners = _supervised(rows, places)
    return Batch(
        ids=tuple(row.id for row in rows),
        tokens_T=_joined(forest.tokens),
        depths_T=_joined(forest.depths),
        segments=tuple(forest.segments),
        sources_S=sources,
        targets_S=targets,
        weights_S=weights,
        owners_S=owners,
        starts_R=np.array([place[0] for place in places], dtype=np.int64),
        ends_R=np.array([place[-1] for place in places], dtype=np.int64),
        labels_R=np.array([row.label for row in rows], dtype=np.int64),
        tokens=sum(len(row.tokens) for row in rows),
    )


def batches_of(rows: Sequence[Row], most_tokens: int, share: bool = True) -> Iterator[tuple[list[int], Batch]]:
    """Rows in groups of neighbours of at most `most_tokens` whole tokens (one row at least), with their places."""
    group: list[int] = []
    held = 0
    for place, row in enumerate(rows):
        if group and held + len(row.tokens) > most_tokens:
            yield group, layout([rows[i] for i in group], share)
            group, held = [], 0
        group.append(place)
        held += len(row.tokens)
    if group:
        yield group, layout([rows[i] for i in group], share)


def _shareable(row: Row) -> int:
    """How many leading tokens may be shared: those before the first target, and never the whole row."""
    supervised = np.flatnonzero(row.weights)
    return min(int(supervised[0]) if len(supervised) else len(row.tokens), len(row.tokens) - 1)


def _grow(forest: _Forest, rows: Sequence[Row], members: list[int], limits: list[int], depth: int, parent: int) -> None:
    """Lays out `members`, which agree on their first `depth` tokens (those up to the end of segment `parent`)."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for r in members:
        reach = depth + SHORTEST_SHARED
        head = tuple(rows[r].tokens[depth:reach].tolist()) if limits[r] >= reach else (-1, r)
        alike.setdefault(head, []).append(r)
    for group in alike.values():
        if len(group) == 1:
            r = group[0]
            forest.paths[r] = forest.runs(forest.add(rows[r].tokens[depth:], depth, parent))
        else:
            shared = _common(rows, group, limits, depth)
            _grow(forest, rows, group, limits, shared, forest.add(rows[group[0]].tokens[depth:shared], depth, parent))


def _common(rows: Sequence[Row], group: list[int], limits: list[int], depth: int) -> int:
    """The end of the longest prefix that all of `group` share and may share."""
    first = rows[group[0]].tokens
    end = min(limits[r] for r in group)
    for r in group[1:]:
        differs = np.flatnonzero(first[depth:end] != rows[r].tokens[depth:end])
        end = depth + int(differs[0]) if len(differs) else end
    return end


def _supervised(
    rows: Sequence[Row], places: list[npt.NDArray[np.int64]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Sources, targets, weights and owners of every supervised position, row by row."""
    at = [np.flatnonzero(row.weights[1:]) + 1 for row in rows]
    return (
        _joined([place[i - 1] for place, i in zip(places, at, strict=True)]),
        _joined([row.tokens[i] for row, i in zip(rows, at, strict=True)]),
        np.concatenate([np.zeros(0, np.float32), *(row.weights[i] for row, i in zip(rows, at, strict=True))]),
        np.repeat(np.arange(len(rows)), [len(i) for i in at]),
    )


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """The parts one after the other; of no parts, nothing (a micro-batch may be empty at an epoch's end)."""
    return np.concatenate([np.zeros(0, np.int64), *parts])
