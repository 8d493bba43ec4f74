"""Metrics of numbers against scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from affina.core.answers import Answers
from affina.core.kinds import Floats, metrics
from affina.evaluation.metrics.mae import Mae
from affina.evaluation.metrics.pearson import Pearson
from affina.evaluation.metrics.r2 import R2
from affina.evaluation.metrics.rmse import Rmse
from affina.evaluation.metrics.spearman import Spearman


def numbers(value: Floats, guess: Floats) -> Answers:
    n = len(value)
    return Answers(tuple(map(str, range(n))), np.ones(n), np.ones(n), value_N=value, guess_N=guess)


@pytest.mark.parametrize("far", [0.0, 1e6])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_of_numbers_equal_scikit_learn_and_scipy(seed: int, far: float) -> None:
    draws = np.random.default_rng(seed)
    value_N = draws.integers(0, 6, 50) + far  # with ties
    guess_N = value_N + draws.normal(0, 1, 50).round(1)
    answers = numbers(value_N, guess_N)
    assert Rmse().value(answers) == pytest.approx(root_mean_squared_error(value_N, guess_N))
    assert Mae().value(answers) == pytest.approx(mean_absolute_error(value_N, guess_N))
    assert R2().value(answers) == pytest.approx(r2_score(value_N, guess_N))
    assert Pearson().value(answers) == pytest.approx(pearsonr(value_N, guess_N).statistic)
    assert Spearman().value(answers) == pytest.approx(spearmanr(value_N, guess_N).statistic)


@pytest.mark.parametrize("name", ["r2", "pearson", "spearman"])
@pytest.mark.parametrize("value", [0.1, 3e7])
def test_numbers_without_spread_have_no_correlation(name: str, value: float) -> None:
    same_N, other_N = np.full(9, value), np.arange(9.0)
    assert metrics.build(name).value(numbers(same_N, other_N)) == 0
    assert metrics.build(name).value(numbers(other_N, np.full(9, 4.0))) == pytest.approx(0)  # the mean: R² is 0


def test_the_mean_itself_explains_nothing_and_worse_than_it_is_below_nothing() -> None:
    value_N = np.array([1.0, 2.0, 6.0])
    assert R2().value(numbers(value_N, np.full(3, 3.0))) == pytest.approx(0)
    assert R2().value(numbers(value_N, value_N[::-1].copy())) < 0


def test_ranks_see_the_order_alone() -> None:
    value_N = np.arange(1.0, 9.0)
    assert Spearman().value(numbers(value_N, np.exp(value_N))) == pytest.approx(1)
    assert Pearson().value(numbers(value_N, np.exp(value_N))) < 0.9
