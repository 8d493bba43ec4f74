"""What rows are to predict, row after row in one array each: where from, which tokens, with what weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.core.kinds import Ints, Row

TOGETHER = 1 << 16
"""Tokens of the rows that are looked through at a time, one row at least."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """Of R rows the S tokens that have a weight and something they can be told from."""

    firsts_R: Ints
    """The depth of each row's first token with a weight; its length where none has."""
    counts_R: Ints
    """How many of S are each row's."""
    sources_S: Ints
    """The depth in its row that each is told from: a token from the one before it, a name from its own place."""
    targets_S: Ints
    weights_S: npt.NDArray[np.float32]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Supervised":
        """Of these rows, without a copy of all of them at once."""
        parts = [_found(part) for part in _parts(rows)]
        if len(parts) == 1:
            return parts[0]
        none = np.zeros(0, np.int64)
        return cls(
            firsts_R=np.concatenate([none, *(part.firsts_R for part in parts)]),
            counts_R=np.concatenate([none, *(part.counts_R for part in parts)]),
            sources_S=np.concatenate([none, *(part.sources_S for part in parts)]),
            targets_S=np.concatenate([none, *(part.targets_S for part in parts)]),
            weights_S=np.concatenate([np.zeros(0, np.float32), *(part.weights_S for part in parts)]),
        )


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    first = held = 0
    for place, row in enumerate(rows):
        if held + len(row.tokens) > TOGETHER and place > first:
            yield rows[first:place]
            first, held = place, 0
        held += len(row.tokens)
    if len(rows):
        yield rows[first:]


def _found(rows: Sequence[Row]) -> Supervised:
    lengths = np.array([len(row.tokens) for row in rows], np.int64)
    edges = np.cumsum(lengths) - lengths
    ahead = np.array([row.said is None for row in rows], np.int64)
    weights: npt.NDArray[np.float32] = np.concatenate([row.weights for row in rows])
    told: npt.NDArray[Any] = np.concatenate([row.tokens if row.said is None else row.said for row in rows])
    at = np.flatnonzero(weights != 0)
    bounds = np.searchsorted(at, [*edges, len(weights)])
    counts, begins = np.diff(bounds), bounds[:-1]
    firsts, some = lengths.copy(), np.flatnonzero(counts)
    firsts[some] = at[begins[some]] - edges[some]
    if len(alone := some[firsts[some] < ahead[some]]):  # a first token, which nothing stands before
        at, counts[alone] = np.delete(at, begins[alone]), counts[alone] - 1
    return Supervised(firsts, counts, at - np.repeat(edges + ahead, counts), told[at].astype(np.int64), weights[at])
