"""A metric's estimate: the right interval for its kind, the same at the same seed, and refusals in words."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from affina.core.answers import Answers
from affina.core.errors import Failed, Refused
from affina.core.kinds import metrics
from affina.evaluation.measure import measure


def answered(n: int, seed: int = 0) -> Answers:
    draws = np.random.default_rng(seed)
    tokens_N = draws.integers(1, 6, n).astype(np.float64)
    target_N = draws.integers(0, 4, n)
    return Answers(
        ids=tuple(map(str, range(n))),
        nats_N=draws.gamma(2.0, 0.5, n) * tokens_N,
        tokens_N=tokens_N,
        labels=("a", "b", "c", "d"),
        target_N=target_N,
        predicted_N=np.where(draws.random(n) < 0.3, draws.integers(0, 4, n), target_N),
    )


ALL = [metrics.build(name) for name in ("accuracy", "f1", "loss", "perplexity")]


def test_accuracy_has_wilsons_interval() -> None:
    answers = answered(120)
    assert answers.target_N is not None and answers.predicted_N is not None
    right = int((answers.target_N == answers.predicted_N).sum())
    found = measure(answers, ALL, 0.05, 0)["accuracy"]
    other = stats.binomtest(right, 120).proportion_ci(method="wilson")
    assert (found.value, found.n) == (right / 120, 120)
    assert (found.low, found.high) == pytest.approx((other.low, other.high))


def test_the_interval_of_loss_is_near_the_ratio_estimators_own() -> None:
    answers = answered(400)
    found = measure(answers, ALL, 0.05, 0)["loss"]
    # Cochran (1977), Sampling Techniques, ch. 6: se of Σy/Σx is sqrt(var(y - R·x) / n) / mean(x)
    residual_N = answers.nats_N - found.value * answers.tokens_N
    se = residual_N.std(ddof=1) / np.sqrt(400) / answers.tokens_N.mean()
    assert found.high - found.low == pytest.approx(2 * 1.96 * se, rel=0.08)
    assert found.low < found.value < found.high


def test_perplexitys_interval_is_the_exponential_of_the_losss() -> None:
    found = measure(answered(400), ALL, 0.05, 0)
    # Percentiles go through a growing function unchanged, up to the interpolation between two neighbours.
    assert np.log(found["perplexity"].low) == pytest.approx(found["loss"].low, abs=1e-3)
    assert np.log(found["perplexity"].high) == pytest.approx(found["loss"].high, abs=1e-3)


@pytest.mark.parametrize("n", [2, 5, 12, 100])
def test_intervals_stay_in_the_metrics_range(n: int) -> None:
    every = [*ALL, metrics.build("precision"), metrics.build("recall")]
    for name, found in measure(answered(n), every, 0.05, 0).items():
        assert 0 <= found.low <= found.value <= found.high, name
        assert name in ("loss", "perplexity") or found.high <= 1, name


def test_a_seed_decides_everything() -> None:
    answers = answered(50)
    assert measure(answers, ALL, 0.05, 3) == measure(answers, ALL, 0.05, 3)
    assert measure(answers, ALL, 0.05, 3)["f1"] != measure(answers, ALL, 0.05, 4)["f1"]


def test_one_item_has_an_unbounded_interval_that_json_can_hold() -> None:
    found = measure(answered(1), ALL, 0.05, 0)["loss"].as_dict()
    assert found["low"] is None and found["high"] is None and found["value"] is not None
    json.dumps(found, allow_nan=False)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(Refused, match="nothing to measure"):
        measure(answered(3).take(np.array([], dtype=np.int64)), ALL, 0.05, 0)


def test_a_score_that_is_not_a_number_fails_with_the_items_id() -> None:
    answers = answered(5)
    with pytest.raises(Failed, match="score of 3 is nan"):
        measure(replace(answers, nats_N=np.array([1.0, 2.0, 1.0, np.nan, 1.0])), ALL, 0.05, 0)
