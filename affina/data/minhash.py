"""Sets of character 5-grams as hashes, and their MinHash signatures in bands (Broder 1997; Leskovec et al., ch. 3)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from affina.data.abreast import abreast

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
Signatures = npt.NDArray[np.uint32]
GRAM = 5
HASHES = 128
COMMON = 0.5
"""Where more than this share of a typical text are 5-grams that more than this share of all texts have, these are a
prompt they share: it says nothing about what distinguishes them and is left out. Elsewhere every 5-gram counts."""
FEW = 20
"""Texts below which nothing counts as common."""
WINDOW = 32
"""Neighbours in a bucket that each text is compared with."""
BLOCK = 1 << 16
"""Hashes that the functions are computed for at a time, as many as stay in a core's cache."""
MISSED = 0.001
"""The probability that a pair at the threshold is in no common bucket, at most."""


def normal(text: str) -> str:
    """The text as it is compared: case and white space do not count."""
    return " ".join(text.casefold().split())


def grams(texts: Sequence[str]) -> tuple[Hashes, Indices]:
    """Every text's 5-grams as 64-bit hashes, in order, one text after another, and where each text's begin [N + 1]."""
    padded = [text.ljust(GRAM) for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    counts = np.array([len(text) - GRAM + 1 for text in padded], np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    if not len(padded):
        return np.zeros(0, np.uint64), starts
    hashes = _mixed(points)
    skipped = np.repeat(np.arange(len(padded)) * (GRAM - 1), counts)  # windows that would reach into the next text
    return hashes[np.arange(starts[-1]) + skipped], starts


def _mixed(points: Hashes) -> Hashes:
    """A hash of each run of 5 code points: a polynomial, then splitmix64's finaliser."""
    size = len(points) - GRAM + 1
    with np.errstate(over="ignore"):
        held = np.zeros(size, np.uint64)
        for offset in range(GRAM):
            held = held * np.uint64(0x100000001B3) + points[offset : offset + size]
        held = (held ^ (held >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        held = (held ^ (held >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return held ^ (held >> np.uint64(31))


def distinct(hashes: Hashes, starts: Indices) -> tuple[Hashes, Indices]:
    """Each text's hashes sorted and without repetition."""
    ordered, first = hashes.copy(), np.ones(len(hashes), bool)
    for start, stop in pairwise(starts.tolist()):
        ordered[start:stop].sort()
    first[1:] = ordered[1:] != ordered[:-1]
    first[starts[:-1][starts[:-1] < len(first)]] = True
    return ordered[first], np.concatenate([np.zeros(1, np.int64), np.cumsum(first)])[starts]


def prompt(hashes: Hashes, starts: Indices) -> Hashes:
    """Of distinct hashes, sorted, those of a prompt that most texts share; none where a typical text has few."""
    count = len(starts) - 1
    if count < FEW:
        return np.zeros(0, np.uint64)
    found, times = np.unique(hashes, return_counts=True)
    common = found[times > COMMON * count]
    owners = np.repeat(np.arange(count), np.diff(starts))
    shares = np.bincount(owners, np.isin(hashes, common), count) / np.maximum(1, np.diff(starts))
    return common if np.median(shares) > COMMON else common[:0]


def without(hashes: Hashes, starts: Indices, common: Hashes) -> tuple[Hashes, Indices]:
    """The same without those in common."""
    if not len(common):
        return hashes, starts
    owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return _kept(hashes, owners, ~np.isin(hashes, common), len(starts) - 1)


def _kept(hashes: Hashes, owners: Indices, keep: npt.NDArray[np.bool_], count: int) -> tuple[Hashes, Indices]:
    return hashes[keep], np.searchsorted(owners[keep], np.arange(count + 1)).astype(np.int64)


def signatures(hashes: Hashes, starts: Indices) -> Signatures:
    """[N, HASHES]: the minimum of each of HASHES functions a·x + b (mod 2^32) over a text's hashes; 0 without any."""
    dice = np.random.default_rng(0)  # the functions are part of the method: never the run's seed
    factors = dice.integers(0, 2**31, HASHES, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    addends = dice.integers(0, 2**32, HASHES, dtype=np.uint32)
    found = np.zeros((len(starts) - 1, HASHES), np.uint32)
    filled = np.flatnonzero(np.diff(starts))

    def fill(block: Indices) -> None:
        first, last = starts[block[0]], starts[block[-1] + 1]
        high, begins = (hashes[first:last] >> np.uint64(32)).astype(np.uint32), starts[block] - first
        hashed, least = np.empty_like(high), np.empty((HASHES, len(block)), np.uint32)
        for number, (factor, addend) in enumerate(zip(factors, addends, strict=True)):
            np.multiply(high, factor, out=hashed)
            np.add(hashed, addend, out=hashed)
            np.minimum.reduceat(hashed, begins, out=least[number])
        found[block] = least.T

    blocks = np.split(filled, np.flatnonzero(np.diff(starts[filled] // BLOCK)) + 1) if len(filled) else []
    for _ in abreast(fill, blocks):
        pass
    return found


def first_of_equal(values: Hashes) -> Indices:
    """For each the place of the first value that is equal."""
    found, order = np.arange(len(values)), np.argsort(values)
    again = np.zeros(len(values) + 1, bool)  # in order, the same as the one before
    again[1:-1] = np.diff(values[order]) == 0
    shared = again[:-1] | again[1:]
    order, begins = order[shared], np.flatnonzero(~again[:-1][shared])
    if len(order):
        found[order] = np.repeat(np.minimum.reduceat(order, begins), np.diff(begins, append=len(order)))
    return found


def bands(near: float) -> tuple[int, int]:
    """Bands and rows per band: the longest rows that still find a pair at the threshold but for MISSED."""
    for rows in range(HASHES // 8, 0, -1):
        if (1 - near**rows) ** (HASHES // rows) <= MISSED:
            return HASHES // rows, rows
    return HASHES, 1


def keys(found: Signatures, band: int, rows: int) -> Hashes:
    """[N]: the bucket of each text in a band."""
    dice = np.random.default_rng([1, band])
    part = found[:, band * rows : (band + 1) * rows].astype(np.uint64)
    with np.errstate(over="ignore"):
        mixed: Hashes = (part * (dice.integers(0, 2**63, rows, dtype=np.uint64) * np.uint64(2) + np.uint64(1))).sum(1)
    return mixed


def neighbours(buckets: Hashes, members: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Of texts sorted by bucket, pairs in the same one, at most WINDOW places apart: all those one apart, then two …"""
    for lag in range(1, min(WINDOW, len(buckets) - 1) + 1):
        hit = np.flatnonzero(buckets[:-lag] == buckets[lag:])
        if not len(hit):
            return
        yield members[hit], members[hit + lag]
