"""Groups of items by which numbers are told apart: quarters of a length, and the values of a column."""

from collections.abc import Sequence

import numpy as np

from affina.core.kinds import Ints

QUARTERS = (0.25, 0.5, 0.75)
OTHERS = "(others)"
MOST_GROUPS = 50
"""Groups of a column that are told apart; the rarer ones are one group."""


def quarters(lengths: Sequence[int]) -> tuple[str, ...]:
    """Of each item, the quarter its length falls into, `Q1 (3–17)` the shortest; equal lengths stay together."""
    if not lengths:
        return ()
    sizes_N = np.array(lengths)
    inner = np.unique(np.quantile(sizes_N, QUARTERS, method="inverted_cdf"))
    places_N = np.searchsorted(inner, sizes_N)
    names = {}
    for number, place in enumerate(np.unique(places_N), 1):
        held = sizes_N[places_N == place]
        names[int(place)] = f"Q{number} ({held.min()}–{held.max()})"
    return tuple(names[int(place)] for place in places_N)


def grouped(values: Sequence[str]) -> tuple[str, ...]:
    """The values as groups; of more than `MOST_GROUPS` the rarest are one."""
    names, counts = np.unique(np.array(values, dtype=object), return_counts=True)
    if len(names) <= MOST_GROUPS:
        return tuple(values)
    kept = {str(names[place]) for place in np.argsort(-counts, kind="stable")[: MOST_GROUPS - 1]}
    return tuple(value if value in kept else OTHERS for value in values)


def places_of(groups_N: Sequence[str], group: str) -> Ints:
    """Where this group is. Not numpy's ==: it takes names that differ by a NUL at their end for one, and gives all of
    them the room of the longest."""
    return np.array([place for place, each in enumerate(groups_N) if each == group], dtype=np.int64)
