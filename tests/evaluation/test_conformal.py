"""The guarantee of split conformal p-values, by simulation and by arithmetic."""

import numpy as np
import pytest

from affina.evaluation.conformal import needed, p_values, spread, threshold

TRIALS = 4000


def test_a_p_value_counts_the_calibration_scores_that_reach_it() -> None:
    """Of 1, 2, 2, 5: score 2 is reached by three of four, (1 + 3) / 5; 6 by none, 1 / 5; 0 by all, 5 / 5."""
    found = p_values(np.array([2.0, 5.0, 1.0, 2.0]), np.array([2.0, 6.0, 0.0, 3.0]))
    np.testing.assert_allclose(found, [0.8, 0.2, 1.0, 0.4])


@pytest.mark.parametrize("rows", [19, 50, 200])
@pytest.mark.parametrize("alarm", [0.05, 0.2])
def test_normal_rows_raise_no_more_alarms_than_allowed(rows: int, alarm: float) -> None:
    """Scores of a skewed distribution. ⌊α(M + 1)⌋ / (M + 1) is exact; four standard errors of the simulated mean."""
    draws = np.random.default_rng(rows)
    rates = [(p_values(draws.lognormal(size=rows), draws.lognormal(size=100)) <= alarm).mean() for _ in range(TRIALS)]
    exact = np.floor(alarm * (rows + 1) + 1e-9) / (rows + 1)
    error = 4 * np.std(rates) / np.sqrt(TRIALS)
    assert exact <= alarm + 1e-12 and abs(np.mean(rates) - exact) < error


def test_ties_make_alarms_rarer_not_commoner() -> None:
    draws = np.random.default_rng(0)
    rates = [(p_values(draws.integers(0, 4, 40), draws.integers(0, 4, 100)) <= 0.3).mean() for _ in range(TRIALS)]
    assert np.mean(rates) < 0.3


@pytest.mark.parametrize(("alarm", "rows"), [(0.5, 1), (0.2, 4), (0.05, 19), (0.03, 33), (0.01, 99), (0.001, 999)])
def test_the_fewest_rows_with_which_an_alarm_is_possible(alarm: float, rows: int) -> None:
    assert needed(alarm) == rows
    assert p_values(np.arange(rows), np.array([rows]))[0] <= alarm
    assert p_values(np.arange(rows - 1), np.array([rows]))[0] > alarm


@pytest.mark.parametrize("alarm", [0.05, 0.1, 0.29, 0.5])
def test_exceeding_the_threshold_is_having_a_small_p(alarm: float) -> None:
    draws = np.random.default_rng(7)
    calibration, scores = draws.integers(0, 40, 99).astype(float), np.arange(-1.0, 42.0)
    np.testing.assert_array_equal(scores > threshold(calibration, alarm), p_values(calibration, scores) <= alarm)


def test_the_spread_holds_the_rates_of_95_calibrations_in_100() -> None:
    """Uniform scores: the rate of a calibration is 1 - its threshold. Four standard errors of a share of 0.95."""
    draws = np.random.default_rng(1)
    rates = np.array([1 - threshold(draws.random(200), 0.05) for _ in range(TRIALS)])
    low, high = spread(200, 0.05)
    held = ((rates > low) & (rates < high)).mean()
    assert abs(held - 0.95) < 4 * np.sqrt(0.95 * 0.05 / TRIALS)
