"""Near-duplicate texts: MinHash of character 5-grams (Broder 1997), banded to find candidates, then exact Jaccard."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
GRAM = 5
HASHES = 128
WINDOW = 32
"""Neighbours in a bucket that each text is compared with."""
MOST = 20_000_000
"""5-grams held; of a larger corpus an equal sample, the same for every text."""
COMMON = 0.5
"""Where more than this share of a typical text are 5-grams that more than this share of all texts have, these are a
prompt they share: it says nothing about what distinguishes them and is left out. Elsewhere every 5-gram counts."""
FEW = 20
"""Texts below which nothing counts as common."""


def clusters(texts: Sequence[str], near: float) -> list[int]:
    """For each text the number of its cluster: texts whose sets of 5-grams have a Jaccard similarity of at least `near`
    are together, and so are chains of them. Case and white space do not count, nor does a prompt that most texts share.
    Numbers follow first appearance."""
    plain = [" ".join(text.casefold().split()) for text in texts]
    place = {text: number for number, text in enumerate(dict.fromkeys(plain))}
    grams, starts = _grams(list(place))
    parents = list(range(len(place)))
    signatures = _signatures(grams, starts)
    for one, two in _candidates(signatures, np.diff(starts) > 0, near):
        first, second = _root(parents, int(one)), _root(parents, int(two))
        if first != second and _jaccard(grams, starts, int(one), int(two)) >= near:
            parents[max(first, second)] = min(first, second)
    return [_root(parents, place[text]) for text in plain]


def _root(parents: list[int], node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


def _grams(texts: Sequence[str]) -> tuple[Hashes, Indices]:
    """Every text's distinct 5-grams as sorted 64-bit hashes, one after another, and where each text's begin [N + 1]."""
    total = sum(map(len, texts))
    keep = np.uint64(total // MOST + 1)
    parts: list[Hashes] = []
    for text in texts:
        points = np.frombuffer(text.ljust(GRAM).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
        hashes = _mixed(points)
        parts.append(np.unique(hashes if keep == 1 else hashes[hashes % keep == 0]))
    grams = np.concatenate([np.zeros(0, np.uint64), *parts])
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    if len(texts) >= FEW:
        _, inverse, counts = np.unique(grams, return_inverse=True, return_counts=True)
        common = (counts > COMMON * len(texts))[inverse]
        shares = np.bincount(owners, common, len(parts)) / np.maximum(1, np.bincount(owners, minlength=len(parts)))
        if np.median(shares) > COMMON:
            grams, owners = grams[~common], owners[~common]
    return grams, np.searchsorted(owners, np.arange(len(parts) + 1)).astype(np.int64)


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


def _signatures(grams: Hashes, starts: Indices) -> npt.NDArray[np.uint32]:
    """[N, HASHES]: the minimum of each of HASHES multiply-shift hash functions over a text's 5-grams."""
    dice = np.random.default_rng(0)  # the functions are part of the method: never the run's seed
    factors = dice.integers(0, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    addends = dice.integers(0, 2**63, HASHES, dtype=np.uint64)
    filled = np.flatnonzero(np.diff(starts))
    signatures = np.zeros((len(starts) - 1, HASHES), np.uint32)
    if len(filled):
        for number in range(HASHES):
            hashed = ((grams * factors[number] + addends[number]) >> np.uint64(32)).astype(np.uint32)
            signatures[filled, number] = np.minimum.reduceat(hashed, starts[filled])
    return signatures


def _bands(near: float) -> tuple[int, int]:
    """Bands and rows per band: the longest rows that still find a pair at the threshold with probability 0.999."""
    for rows in range(HASHES // 8, 0, -1):
        if (1 - near**rows) ** (HASHES // rows) <= 0.001:
            return HASHES // rows, rows
    return HASHES, 1


def _candidates(
    signatures: npt.NDArray[np.uint32], filled: npt.NDArray[np.bool_], near: float
) -> Iterator[tuple[int, int]]:
    """Pairs that share a band of their signatures and whose estimated similarity is not far below the threshold."""
    index = np.flatnonzero(filled)
    bands, rows = _bands(near)
    dice = np.random.default_rng(1)
    seen: set[int] = set()
    for band in range(bands if len(index) else 0):
        part = signatures[index, band * rows : (band + 1) * rows].astype(np.uint64)
        keys = (part * (dice.integers(0, 2**63, rows, dtype=np.uint64) * np.uint64(2) + np.uint64(1))).sum(axis=1)
        order = np.lexsort(
            (signatures[index, (band * rows + rows) % HASHES], keys)
        )  # a crowded bucket: another order each time
        keys, members = keys[order], index[order]
        for lag in range(1, min(WINDOW, len(keys) - 1) + 1):
            hit = np.flatnonzero(keys[:-lag] == keys[lag:])
            if not len(hit):
                break
            one, two = members[hit], members[hit + lag]
            alike = (signatures[one] == signatures[two]).mean(axis=1) >= near - 0.15  # four standard errors
            for pair in zip(one[alike].tolist(), two[alike].tolist(), strict=True):
                code = min(pair) * len(filled) + max(pair)
                if code not in seen:
                    seen.add(code)
                    yield pair


def _jaccard(grams: Hashes, starts: Indices, one: int, two: int) -> float:
    first, second = grams[starts[one] : starts[one + 1]], grams[starts[two] : starts[two + 1]]
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / (len(first) + len(second) - shared)
