"""Which examples repeat others, and which say another thing of the same: 24 bytes for each example, no text kept."""

from array import array
from typing import NamedTuple

import numpy as np

from affina.data.bits import bits

MOST = 20_000_000
"""Examples that are compared; of more, the first so many."""


class Found(NamedTuple):
    """How many, and the place of the first one; -1 where there is none."""

    times: int
    place: int


class Twins:
    """Examples by what they show and by what they show and teach, each with its place."""

    def __init__(self) -> None:
        self._shown, self._whole, self._places = array("Q"), array("Q"), array("q")

    def add(self, shown: str, taught: str, place: int) -> None:
        """One more example; white space does not count."""
        if len(self._shown) < MOST:
            shown, taught = _spaced(shown), _spaced(taught)
            self._shown.append(bits(shown))
            self._whole.append(bits(f"{shown}\0{taught}"))
            self._places.append(place)

    @property
    def compared(self) -> int:
        return len(self._shown)

    def repeated(self) -> Found:
        """Examples that say what an earlier one says."""
        _, first = np.unique(np.frombuffer(self._whole, dtype=np.uint64), return_index=True)
        later = np.ones(self.compared, bool)
        later[first] = False
        return self._found(later)

    def contradicted(self) -> Found:
        """Texts that are shown with more than one right answer; the place is of the first that differs."""
        shown = np.frombuffer(self._shown, dtype=np.uint64)
        _, first = np.unique(np.frombuffer(self._whole, dtype=np.uint64), return_index=True)
        distinct = np.sort(first)
        _, earliest, times = np.unique(shown[distinct], return_index=True, return_counts=True)
        later = np.ones(len(distinct), bool)
        later[earliest] = False
        differing = np.zeros(self.compared, bool)
        differing[distinct[later]] = True
        return Found(int((times > 1).sum()), self._found(differing).place)

    def _found(self, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Found:
        places = np.flatnonzero(chosen)
        return Found(len(places), self._places[int(places[0])] if len(places) else -1)


def _spaced(text: str) -> str:
    return " ".join(text.split())
