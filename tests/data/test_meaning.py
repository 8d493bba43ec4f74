"""Embeddings compared in clusters find what a comparison of all pairs finds, but for what the clusters part."""

from collections.abc import Sequence

import numpy as np
import pytest

from affina.core.kinds import Embedded
from affina.data import meaning


def embedding(vectors_ND: Embedded) -> meaning.Embed:
    def embed(texts: Sequence[str]) -> Embedded:
        return vectors_ND[[int(text) for text in texts]]

    return embed


def unit(vectors_ND: Embedded) -> Embedded:
    return (vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)).astype(np.float32)


def test_few_texts_are_all_compared_and_many_within_their_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """500 points in 8 tight bundles of 64 dimensions: every second one is repeated with a little noise."""
    draws = np.random.default_rng(0)
    middles = unit(draws.normal(size=(8, 64)).astype(np.float32))
    points = unit(middles[draws.integers(0, 8, 500)] + 0.08 * draws.normal(size=(500, 64)).astype(np.float32))
    twins = unit(points[::2] + 0.002 * draws.normal(size=(250, 64)).astype(np.float32))
    vectors = np.concatenate([points, twins])
    texts = [str(place) for place in range(len(vectors))]
    brute = [int(np.flatnonzero(vectors[: place + 1] @ each >= 0.98)[0]) for place, each in enumerate(vectors)]
    assert meaning.alike(texts, embedding(vectors), 0.98).tolist() == brute
    assert brute[500:] == list(range(0, 500, 2))
    monkeypatch.setattr(meaning, "ALL_PAIRS", 200)
    found = meaning.alike(texts, embedding(vectors), 0.98).tolist()
    assert np.mean(np.array(found) == brute) > 0.98
    assert all(vectors[place] @ vectors[first] > 0.979 for place, first in enumerate(found))


def test_no_text_and_one_are_compared() -> None:
    vectors = unit(np.ones((1, 4), np.float32))
    assert meaning.alike([], embedding(vectors), 0.9).tolist() == []
    assert meaning.alike(["0"], embedding(vectors), 0.9).tolist() == [0]
