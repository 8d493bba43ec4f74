"""Runs of words that texts share: every run of n words as a 64-bit hash; case and punctuation do not count."""

import re
import zlib

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
WORD = re.compile(r"\w+")
STEP = np.uint64(0x9E3779B97F4A7C15)


def words(text: str) -> Hashes:
    """A hash of each word, in order."""
    plain = text.casefold().encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return np.array([zlib.crc32(each.encode()) for each in WORD.findall(plain)], dtype=np.uint64)


def runs(hashed: Hashes, n: int) -> Hashes:
    """The distinct runs of n words, sorted; none where there are fewer words."""
    size = len(hashed) - n + 1
    if size < 1:
        return np.zeros(0, np.uint64)
    with np.errstate(over="ignore"):
        held = np.full(size, n, np.uint64)
        for offset in range(n):
            held = (held + hashed[offset : offset + size]) * STEP
            held ^= held >> np.uint64(29)
    return np.unique(held)


class Reference:
    """The runs of the texts that nothing else may share; each text is known by its number."""

    def __init__(self, n: int, short: int) -> None:
        """`n` words, or `short` in texts of fewer; a text of fewer than `short` is one run, shared by its equals."""
        self.n, self.short = n, short
        self._held: list[Hashes] = []
        self.runs = np.zeros(0, np.uint64)
        self.owners = np.zeros(0, np.int64)
        """Of each run the first text that has it."""

    def add(self, hashed: Hashes) -> None:
        """The next text's words."""
        sizes = (self.n, self.short, 0)
        size = next(size for size in sizes if len(hashed) >= size)
        self._held.append(runs(hashed, size) if size else _whole(hashed))

    def close(self) -> None:
        """No text comes any more."""
        held = np.concatenate([np.zeros(0, np.uint64), *self._held])
        owners = np.repeat(np.arange(len(self._held)), [len(each) for each in self._held])
        self.runs, first = np.unique(held, return_index=True)
        self.owners = owners[first]
        self._held = []

    def shared(self, hashed: Hashes) -> npt.NDArray[np.int64]:
        """The places in `runs` of those that a text has too."""
        whole = _whole(hashed) if len(hashed) < self.short else np.zeros(0, np.uint64)
        mine = np.concatenate([runs(hashed, self.n), runs(hashed, self.short), whole])
        places = np.searchsorted(self.runs, mine)
        inside = places < len(self.runs)
        inside[inside] = self.runs[places[inside]] == mine[inside]
        return places[inside]


def _whole(hashed: Hashes) -> Hashes:
    """A text as one run, told apart from runs inside longer ones; none where it has no word."""
    if not len(hashed):
        return np.zeros(0, np.uint64)
    with np.errstate(over="ignore"):
        return runs(np.concatenate([hashed, np.array([len(hashed)], np.uint64) * STEP]), len(hashed) + 1)
