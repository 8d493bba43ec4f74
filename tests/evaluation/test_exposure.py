"""Exposure: exact ranks by counting, estimates against what is known of the distribution they are drawn from."""

import numpy as np
import pytest
from scipy import stats

from affina.evaluation.exposure import Space


def test_the_likeliest_of_all_has_the_largest_exposure_and_the_unlikeliest_none() -> None:
    space = Space(np.array([3.0, 1.0, 4.0, 2.0]), 4)
    assert space.exposure(1.0, among=True) == (2.0, False)
    assert space.exposure(4.0, among=True) == (0.0, False)
    assert space.exposure(2.0, among=True)[0] == pytest.approx(1.0)  # log2 4 - log2 2


def test_a_secret_that_is_no_candidate_has_its_rank_among_them() -> None:
    space = Space(np.arange(1.0, 8.0), 7)
    assert space.exposure(0.5) == (np.log2(7), False)
    assert space.exposure(1.5)[0] == pytest.approx(np.log2(7) - 1)


def test_equals_share_their_ranks_so_that_a_model_that_knows_nothing_exposes_nothing() -> None:
    space = Space(np.ones(1000), 1000)
    assert space.exposure(1.0, among=True)[0] == pytest.approx(1, abs=0.01)  # the middle rank of all


def test_what_was_never_trained_has_an_exposure_of_log2_e_on_average() -> None:
    draws = np.random.default_rng(0)
    nats_N = draws.gamma(20, 1, 4096)
    space = Space(nats_N, 4096)
    exposures = [space.exposure(each, among=True)[0] for each in nats_N]
    assert np.mean(exposures) == pytest.approx(np.log2(np.e), abs=0.01)  # of -log2 of a uniform share
    assert np.median(exposures) == pytest.approx(1, abs=0.01)


def test_a_share_of_a_sample_is_counted_where_it_can_be() -> None:
    space = Space(np.arange(1000.0), 1e9)
    assert space.exposure(249.5) == (-np.log2(250 / 1000), False)


@pytest.mark.parametrize("shape", [0.0, 3.0, -3.0])
def test_beyond_the_sample_it_is_read_off_the_distribution_that_the_sample_is_of(shape: float) -> None:
    known = stats.skewnorm(shape, 100, 8)
    space = Space(known.rvs(2000, random_state=1), 1e12)
    nats = known.ppf(2.0**-15)
    exposure, extrapolated = space.exposure(nats)
    assert extrapolated and exposure == pytest.approx(15, abs=3)
    assert space.fit_p > 0.01


def test_an_extrapolated_exposure_is_never_beyond_the_largest_possible() -> None:
    space = Space(np.random.default_rng(0).normal(100, 5, 2000), 1e6)
    assert space.exposure(-1e6) == (np.log2(1e6), True)
