"""The law every novelty keeps: documented, arrays alone, one score per row, larger for what is farther from normal."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from affina.core.kinds import Floats, novelties

NAMES = novelties.names()


def normal(name: str, seed: int = 0, shift: float = 0.0) -> Floats:
    """Rows as a novelty reads them."""
    width = 1 if novelties.find(name).reads == "nats" else 5
    return np.random.default_rng(seed).normal(size=(60, width)) * np.arange(1, width + 1) + shift


@pytest.mark.parametrize("name", NAMES)
def test_a_novelty_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = novelties.build(name)
    assert part.name == name == novelties.dump(part) and part.reads in ("vectors", "nats")
    assert type(part).__doc__ and all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_farther_scores_higher_and_a_file_gives_the_same(name: str, tmp_path: Path) -> None:
    part = novelties.build(name)
    learnt = part.fit(normal(name))
    near, far = part.score(learnt, normal(name, 1)), part.score(learnt, normal(name, 1, shift=30.0))
    assert near.shape == (60,) and far.min() > near.max()
    kept = {}
    if learnt:
        save_file({key: np.ascontiguousarray(each) for key, each in learnt.items()}, tmp_path / "learnt.safetensors")
        kept = load_file(tmp_path / "learnt.safetensors")
    np.testing.assert_array_equal(part.score(kept, normal(name, 1)), near)


def test_mahalanobis_is_the_distance_under_the_shrunk_covariance() -> None:
    part, rows = novelties.build("mahalanobis"), normal("mahalanobis", 1)
    fitted = LedoitWolf().fit(normal("mahalanobis"))
    expected = [mahalanobis(row, fitted.location_, np.linalg.inv(fitted.covariance_)) for row in rows]
    np.testing.assert_allclose(part.score(part.fit(normal("mahalanobis")), rows), expected)


@pytest.mark.parametrize("k", [1, 4])
def test_neighbour_is_the_distance_to_the_kth(k: int) -> None:
    part, rows = novelties.build({"name": "neighbour", "k": k}), normal("neighbour", 1)
    expected, _ = NearestNeighbors(n_neighbors=k).fit(normal("neighbour")).kneighbors(rows)
    np.testing.assert_allclose(part.score(part.fit(normal("neighbour")), rows), expected[:, -1])


def test_perplexity_is_what_the_model_says() -> None:
    part = novelties.build("perplexity")
    assert not part.learns and not part.fit(np.zeros((0, 1)))
    np.testing.assert_array_equal(part.score({}, np.array([[2.0], [1.0]])), [2, 1])
