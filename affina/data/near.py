"""Near-duplicate texts: candidates by MinHash (Broder 1997) of character 5-grams, then exact Jaccard similarity."""

from collections.abc import Collection, Iterator

import numpy as np

from affina.data.minhash import (
    HASHES,
    Hashes,
    Indices,
    Signatures,
    bands,
    distinct,
    grams,
    keys,
    neighbours,
    normal,
    prompt,
    signatures,
    without,
)

MOST = 20_000_000
"""Characters of all texts, up to which their 5-grams are held in memory and similarities are exact."""
DOUBT = 0.15
"""How far an estimate from 128 minima may be below the similarity: four standard errors."""


def clusters(texts: Collection[str], near: float) -> Indices:
    """For each text the number of its cluster: texts whose sets of 5-grams have a Jaccard similarity of at least `near`
    are together, and so are chains of them. Case and white space do not count, nor does a prompt that most texts share.
    Numbers follow first appearance. `texts` can be gone through again and again; of more than MOST characters the
    similarity is estimated (`sketches`)."""
    if sum(map(len, texts)) > MOST:
        from affina.data import sketches  # scipy is not loaded for less

        return sketches.many(texts, near)
    plain = [normal(text) for text in texts]
    place = {text: number for number, text in enumerate(dict.fromkeys(plain))}
    hashes, starts = distinct(*grams(list(place)))
    hashes, starts = without(hashes, starts, prompt(hashes, starts))
    parents = list(range(len(place)))
    for one, two in _candidates(signatures(hashes, starts), np.flatnonzero(np.diff(starts)), near):
        first, second = _root(parents, one), _root(parents, two)
        if first != second and _jaccard(hashes, starts, one, two) >= near:
            parents[max(first, second)] = min(first, second)
    return np.array([_root(parents, place[text]) for text in plain], np.int64)


def _root(parents: list[int], node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


def _candidates(found: Signatures, index: Indices, near: float) -> Iterator[tuple[int, int]]:
    """Pairs that share a band of their signatures and whose estimated similarity is not far below the threshold."""
    count, rows = bands(near)
    seen: set[int] = set()
    for band in range(count if len(index) else 0):
        buckets = keys(found[index], band, rows)
        order = np.lexsort((found[index, (band * rows + rows) % HASHES], buckets))  # crowded: another order each time
        buckets, members = buckets[order], index[order]
        for one, two in neighbours(buckets, members):
            alike = (found[one] == found[two]).mean(axis=1) >= near - DOUBT
            for pair in zip(one[alike].tolist(), two[alike].tolist(), strict=True):
                code = min(pair) * len(found) + max(pair)
                if code not in seen:
                    seen.add(code)
                    yield pair


def _jaccard(hashes: Hashes, starts: Indices, one: int, two: int) -> float:
    first, second = hashes[starts[one] : starts[one + 1]], hashes[starts[two] : starts[two + 1]]
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / (len(first) + len(second) - shared)
