"""Near-duplicates among more texts than fit in memory: 128 minima of each on disk, buckets band by band (MinHash-LSH).

Of two texts in one bucket the similarity is estimated from their minima: the standard error is
sqrt(s (1 - s) / 128), 0.035 at 0.8.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import IO

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from affina.core.cache import disk_errors, scratch_file
from affina.data.bits import bits
from affina.data.minhash import (
    HASHES,
    Hashes,
    Indices,
    Signatures,
    bands,
    distinct,
    first_of_equal,
    grams,
    keys,
    neighbours,
    normal,
    prompt,
    signatures,
    without,
)

TOGETHER = 1 << 20
"""Characters of the texts whose 5-grams are held at a time."""
SAMPLED = 1 << 21
"""Characters, about, of the texts on which it is seen whether most share a prompt."""
PAIRS = 20_000
"""Pairs whose minima are held at a time."""
ROW = 4 * HASHES
"""Bytes of one text's minima."""


def many(texts: Collection[str], near: float) -> Indices:
    """For each text [N] the place of the first text of its cluster; see `near.clusters`."""
    count, rows = bands(near)
    with disk_errors("prepared data"), ExitStack() as files:
        minima = files.enter_context(scratch_file(".minima"))
        buckets = [files.enter_context(scratch_file(".band")) for _ in range(count)]
        same, compared = _sketched(texts, rows, minima, buckets)
        first = first_of_equal(same)
        own = np.arange(len(first))
        compared &= first == own  # of equal texts the first stands for all
        for band, file in enumerate(buckets):
            pairs = np.concatenate([np.zeros((2, 0), np.int64), *_alike(minima, file, compared, first, near, band)], 1)
            if pairs.shape[1]:
                first = joined(first, pairs)
    return first


def _sketched(
    texts: Collection[str], rows: int, minima: IO[bytes], buckets: Sequence[IO[bytes]]
) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """Writes each text's minima and its bucket in each band; returns each text's own hash and whether it has 5-grams
    that are compared."""
    shared = _shared(texts)
    same, filled, place = np.empty(len(texts), np.uint64), np.empty(len(texts), bool), 0
    for part in _parts(map(normal, texts), TOGETHER):
        here = slice(place, place + len(part))
        hashes, starts = without(*grams(part), shared)
        same[here], filled[here] = [bits(text) for text in part], np.diff(starts) > 0
        found = signatures(hashes, starts)
        found.tofile(minima)
        for band, file in enumerate(buckets):
            keys(found, band, rows).tofile(file)
        place += len(part)
    return same, filled


def _shared(texts: Collection[str]) -> Hashes:
    """The prompt that most texts share, seen on a sample that depends on what they say, not on their order."""
    every = sum(map(len, texts)) // SAMPLED + 1
    plain = (text for text in map(normal, texts) if bits(text) % every == 0)
    return prompt(*distinct(*grams(next(_parts(plain, 2 * SAMPLED), []))))


def _parts(texts: Iterator[str], most: int) -> Iterator[list[str]]:
    """Lists of texts of at least `most` characters together, the last of fewer."""
    part, size = [], 0
    for text in texts:
        part.append(text)
        size += len(text)
        if size >= most:
            yield part
            part, size = [], 0
    if part:
        yield part


def _alike(
    minima: IO[bytes], file: IO[bytes], compared: npt.NDArray[np.bool_], first: Indices, near: float, band: int
) -> Iterator[Indices]:
    """Pairs [2, P] of one band's buckets that are near, of different clusters so far."""
    index = np.flatnonzero(compared)
    file.seek(0)
    found = np.fromfile(file, np.uint64)[index]
    order = np.lexsort((np.random.default_rng(band).permutation(len(index)), found))  # crowded: another order each time
    for one, two in neighbours(found[order], index[order]):
        new = first[one] != first[two]
        one, two = one[new], two[new]
        for start in range(0, len(one), PAIRS):
            pair = np.stack([one[start : start + PAIRS], two[start : start + PAIRS]])
            places, which = np.unique(pair, return_inverse=True)
            left, right = _rows(minima, places)[which.reshape(pair.shape)]
            yield pair[:, (left == right).mean(axis=1) >= near]


def _rows(minima: IO[bytes], places: Indices) -> Signatures:
    """[P, HASHES]: the minima of the texts at these places."""
    read = b"".join(os.pread(minima.fileno(), ROW, place * ROW) for place in places.tolist())
    return np.frombuffer(read, np.uint32).reshape(-1, HASHES)


def joined(first: Indices, pairs: Indices) -> Indices:
    """The clusters with these pairs joined, each again numbered by its first text."""
    edges = np.concatenate([np.stack([np.arange(len(first)), first]), pairs], axis=1)
    links = coo_array((np.ones(edges.shape[1], bool), (edges[0], edges[1])), shape=(len(first), len(first)))
    return first_of_equal(connected_components(links, directed=False)[1].astype(np.uint64))
