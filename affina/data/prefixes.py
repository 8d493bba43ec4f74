"""The tree of the prefixes that rows have in common: what a batch computes once, and what batches are composed by."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from affina.core.kinds import Ints, Row
from affina.data.supervised import Supervised

SHORTEST_SHARED = 8  # tokens: a shorter prefix costs more in one more segment than it saves


@dataclass(frozen=True, slots=True)
class Tree:
    """K nodes, parents first, siblings by their first row, each followed by all that is below it.

    A node is the tokens [start, stop) of the rows that agree on them, below its parent (-1: a root). One row alone
    makes a leaf, which ends where the row ends.
    """

    starts_K: Ints
    stops_K: Ints
    parents_K: Ints
    firsts_K: Ints
    """The first of a node's rows."""
    shared: Mapping[int, list[int]]
    """The rows of each node that is no leaf, in order."""

    @property
    def sizes_K(self) -> Ints:
        """Tokens of each."""
        return self.stops_K - self.starts_K

    @property
    def tokens(self) -> int:
        """How many there are to compute."""
        return int(self.sizes_K.sum())

    @property
    def leaves(self) -> Ints:
        """The leaves, in order; their rows are all rows, each once."""
        return np.delete(np.arange(len(self.starts_K)), [*self.shared])


def shareable(rows: Sequence[Row], firsts_R: Ints) -> Ints:
    """[R] how many leading tokens may be shared: those before the first with a weight, and never the whole row."""
    return np.minimum(firsts_R, np.array([len(row.tokens) for row in rows], np.int64) - 1)


def of_all(rows: Sequence[Row]) -> int:
    """Leading tokens that all rows have in common and may share: computed once in whatever batch they meet."""
    limits: list[int] = shareable(rows, Supervised.of(rows).firsts_R).tolist()
    end = _common(rows, [*range(len(rows))], limits, 0) if rows else 0
    return end if end >= SHORTEST_SHARED else 0


def tree(rows: Sequence[Row], share: bool = True) -> Tree:
    """The tree of all rows' prefixes; of whole rows without `share`."""
    return grown(rows, shareable(rows, Supervised.of(rows).firsts_R) if share else np.zeros(len(rows), np.int64))


def grown(rows: Sequence[Row], shareable_R: Ints) -> Tree:
    """The same where it is known what may be shared. Cost: linear in the rows' shared tokens."""
    lengths = [len(row.tokens) for row in rows]
    if (shareable_R < SHORTEST_SHARED).all():
        stops, places = np.array(lengths, np.int64), np.arange(len(rows))
        return Tree(np.zeros_like(stops), stops, np.full_like(stops, -1), places, {})
    limits: list[int] = shareable_R.tolist()
    made: list[tuple[int, int, int, int]] = []
    shared: dict[int, list[int]] = {}
    open_: list[tuple[Iterator[list[int]], int, int]] = [(_alike(rows, range(len(rows)), limits, 0), 0, -1)]
    while open_:
        groups, start, parent = open_[-1]
        for group in groups:
            if len(group) > 1:
                stop, number = _common(rows, group, limits, start), len(made)
                made.append((start, stop, parent, group[0]))
                shared[number] = group
                open_.append((_alike(rows, group, limits, stop), stop, number))
                break
            made.append((start, lengths[group[0]], parent, group[0]))
        else:
            open_.pop()
    starts_K, stops_K, parents_K, firsts_K = np.array(made, np.int64).T.copy()
    return Tree(starts_K, stops_K, parents_K, firsts_K, shared)


def _alike(rows: Sequence[Row], group: Sequence[int], limits: list[int], depth: int) -> Iterator[list[int]]:
    """The group divided by the next SHORTEST_SHARED tokens; a row that may not share them stands alone."""
    found: dict[bytes | int, list[int]] = {}
    reach = depth + SHORTEST_SHARED
    for r in group:
        head = rows[r].tokens[depth:reach].tobytes() if limits[r] >= reach else r
        found.setdefault(head, []).append(r)
    return iter(found.values())


def _common(rows: Sequence[Row], group: list[int], limits: list[int], depth: int) -> int:
    """The end of the longest prefix that all of `group` share and may share: the one of the first and the last of them
    in the order of their bytes, between which all others are."""
    end = min([limits[r] for r in group])
    least = most = rows[group[0]].tokens[depth:end].tobytes()
    for r in group[1:]:
        here = rows[r].tokens[depth:end].tobytes()
        if here < least:
            least = here
        elif here > most:
            most = here
    differs = np.flatnonzero(np.frombuffer(least, np.int32) != np.frombuffer(most, np.int32))
    return depth + int(differs[0]) if len(differs) else end
