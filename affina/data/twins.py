"""Which examples repeat others, and which say another thing of the same: 16 bytes for each example, no text kept."""

from array import array
from hashlib import blake2b

import numpy as np

MOST = 20_000_000
"""Examples that are compared; of more, the first so many."""


class Twins:
    """Examples by what they show and by what they show and teach."""

    def __init__(self) -> None:
        self._shown, self._whole = array("Q"), array("Q")
        self.met = 0

    def add(self, shown: str, taught: str) -> None:
        """One more example; white space does not count."""
        self.met += 1
        if len(self._shown) < MOST:
            shown, taught = _spaced(shown), _spaced(taught)
            self._shown.append(_hash(shown))
            self._whole.append(_hash(f"{shown}\0{taught}"))

    @property
    def compared(self) -> int:
        return len(self._shown)

    def repeated(self) -> int:
        """Examples that say what an earlier one says."""
        return self.compared - len(np.unique(np.frombuffer(self._whole, dtype=np.uint64)))

    def contradicted(self) -> int:
        """Texts that are shown with more than one right answer."""
        pairs = np.stack([np.frombuffer(each, dtype=np.uint64) for each in (self._shown, self._whole)], axis=1)
        distinct = np.unique(pairs, axis=0)
        _, times = np.unique(distinct[:, 0], return_counts=True)
        return int((times > 1).sum())


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
