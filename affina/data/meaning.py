"""Texts that mean the same: embeddings compared by cosine, all pairs of few, of many those in one k-means cluster
(SemDeDup, Abbas et al. 2023)."""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans

from affina.core.kinds import Embedded
from affina.data.minhash import Indices

TOGETHER = 1024
"""Texts embedded at a time."""
ALL_PAIRS = 20_000
"""Texts of which all pairs are compared; more are divided into clusters of about as many."""
BLOCK = 1024
"""Rows of the table of cosines that is held at a time."""

Embed = Callable[[Sequence[str]], Embedded]


def alike(texts: Collection[str], embed: Embed, near: float, same_N: Indices | None = None) -> Indices:
    """For each text [N] the place of an earlier one that is at least as close as `near`, the first such; else its own.
    Where `same_N` is given, only texts with the same number there are compared.

    Embeddings of unit length are held as half floats: 2 bytes per dimension and text. Texts in other clusters than
    theirs are not compared, where there are more than ALL_PAIRS.
    """
    vectors_ND = np.concatenate([np.zeros((0, 0), np.float16), *_embedded(texts, embed)][bool(len(texts)) :])
    first = np.arange(len(vectors_ND))
    for members in _clusters(vectors_ND):
        part = vectors_ND[members].astype(np.float32)
        for start in range(0, len(part), BLOCK):
            close = part[start : start + BLOCK] @ part[: start + BLOCK].T >= near
            if same_N is not None:
                kinds = same_N[members]
                close &= kinds[start : start + BLOCK, None] == kinds[None, : start + BLOCK]
            earlier = np.tril(close, start - 1)  # those before each row
            found = np.flatnonzero(earlier.any(axis=1))
            first[members[start + found]] = members[earlier[found].argmax(axis=1)]
    return _followed(first)


def _embedded(texts: Collection[str], embed: Embed) -> Iterator[npt.NDArray[np.float16]]:
    left = iter(texts)
    while part := list(islice(left, TOGETHER)):
        yield embed(part).astype(np.float16)


def _clusters(vectors_ND: npt.NDArray[np.float16]) -> list[Indices]:
    """Places, in order, of those that are compared with each other."""
    count = -(-len(vectors_ND) // ALL_PAIRS)
    if count < 2:
        return [np.arange(len(vectors_ND))]
    means = MiniBatchKMeans(count, batch_size=4096, n_init=1, random_state=0)
    for start in range(0, len(vectors_ND), ALL_PAIRS):
        means.partial_fit(vectors_ND[start : start + ALL_PAIRS].astype(np.float32))
    parts = range(0, len(vectors_ND), ALL_PAIRS)
    which = np.concatenate([means.predict(vectors_ND[at : at + ALL_PAIRS].astype(np.float32)) for at in parts])
    return [np.flatnonzero(which == cluster) for cluster in range(count)]


def _followed(first: Indices) -> Indices:
    """The end of each chain, so that all of it repeat the same one."""
    while (then := first[first]).tolist() != first.tolist():
        first = then
    return first
