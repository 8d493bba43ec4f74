from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from affina.data.subset import covering, spread
from affina.data.vectors import similarities, vectors


def unit(rows: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(rows, 4))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(3, 9), count=st.integers(1, 3), seed=st.integers(0, 100))
def test_covering_is_within_its_bound_of_the_best(rows: int, count: int, seed: int) -> None:
    similarity = np.maximum(unit(rows, seed) @ unit(7, seed + 1).T, 0)
    chosen = covering(similarity, count)
    assert len(set(chosen)) == count
    value = {set_: similarity[list(set_)].max(axis=0).sum() for set_ in combinations(range(rows), count)}
    assert value[tuple(sorted(chosen))] >= (1 - 1 / np.e) * max(value.values()) - 1e-5


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(3, 9), count=st.integers(1, 3), seed=st.integers(0, 100))
def test_lazily_greedy_is_greedy(rows: int, count: int, seed: int) -> None:
    similarity = np.maximum(unit(rows, seed) @ unit(7, seed + 1).T, 0)
    plain: list[int] = []
    for _ in range(count):
        held = similarity[plain].max(axis=0) if plain else np.zeros(7, np.float32)
        gains = [np.maximum(similarity[row] - held, 0).sum() if row not in plain else -1 for row in range(rows)]
        plain.append(int(np.argmax(gains)))
    values = [similarity[each].max(axis=0).sum() for each in (plain, covering(similarity, count))]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(4, 9), count=st.integers(2, 3), seed=st.integers(0, 100))
def test_spread_is_within_twice_the_best_radius(rows: int, count: int, seed: int) -> None:
    vectors_ND = unit(rows, seed)
    distance = np.sqrt(np.maximum(0, 2 - 2 * (vectors_ND @ vectors_ND.T)))
    best = min(distance[:, list(set_)].min(axis=1).max() for set_ in combinations(range(rows), count))
    chosen = spread(vectors_ND, count)
    assert len(set(chosen)) == count and distance[:, chosen].min(axis=1).max() <= 2 * best + 1e-3
    assert spread(csr_matrix(vectors_ND), count) == chosen


def test_nothing_and_everything() -> None:
    assert spread(unit(3, 0), 0) == [] and sorted(spread(unit(3, 0), 9)) == [0, 1, 2]
    assert covering(np.zeros((0, 3), np.float32), 2) == [] and sorted(covering(np.zeros((3, 2), np.float32), 9)) == [
        0,
        1,
        2,
    ]


def test_words_make_vectors_and_texts_without_words_make_none() -> None:
    made = vectors(["a b c", "a b c", "x y", "!!!", "\ud800"], None)
    alike = similarities(made, made)
    assert alike[0, 1] == pytest.approx(1) and alike[0, 2] == 0 and alike[3, 3] == 0
    assert vectors(["!", "?"], None).shape[0] == 2 and vectors([], None).shape[0] == 0
