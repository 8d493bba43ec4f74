"""The law every metric keeps: built from defaults, documented, deterministic, and honest about what it reads."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from affina.core.answers import Answers
from affina.core.kinds import metrics
from affina.evaluation.compare import RESAMPLED, compare
from affina.evaluation.measure import COLUMNS, light, measure
from affina.evaluation.statistics import bootstrap_weights
from affina.evaluation.weighted import Weighted

RIGHT_TEXTS = ("yes it is so", "no it is never", "perhaps on a day")
READS = {"nats", "words", *COLUMNS}
ANSWERED = ("nats_N", "predicted_N", "chances_NL", "said", "guess_N", "guessed")
"""What models differ in."""
TAGS = ("O", "B-PER", "B-LOC")


def answers(n: int = 60, seed: int = 0, noise: float = 0.4, labels: int = 3) -> Answers:
    """Answers with every column; a larger `noise` makes them worse."""
    draws = np.random.default_rng(seed)
    target_N = draws.integers(0, labels, n)
    wrong_N = draws.random(n) < noise
    predicted_N = np.where(wrong_N, draws.integers(-1, labels, n), target_N)
    tokens_N = draws.integers(1, 9, n).astype(np.float64)
    weight_NL = draws.random((n, labels)) + 6 * (1 - noise) * np.eye(labels)[np.where(wrong_N, predicted_N, target_N)]
    truth_NL = (draws.random((n, labels)) < 0.4).astype(np.int64)
    value_N, guess_N = draws.normal(3, 1, n), draws.normal(0, noise, n)
    return Answers(
        ids=tuple(f"file:{i}" for i in range(n)),
        nats_N=tokens_N * draws.gamma(2.0, noise, n),
        tokens_N=tokens_N,
        labels=RIGHT_TEXTS[:labels],
        target_N=target_N,
        predicted_N=predicted_N,
        chances_NL=weight_NL / weight_NL.sum(axis=1, keepdims=True),
        truth_NL=truth_NL,
        expected=tuple(RIGHT_TEXTS[i] for i in target_N),
        said=tuple("?" if i < 0 else RIGHT_TEXTS[i] for i in predicted_N),
        references=tuple((RIGHT_TEXTS[i], f"oh {RIGHT_TEXTS[i]}") for i in target_N),
        value_N=value_N,
        guess_N=value_N + guess_N,
        tags=tuple(("O", TAGS[i]) for i in target_N),
        guessed=tuple(("O", TAGS[max(i, 0)]) for i in predicted_N),
        margin_N=draws.normal(1 - noise, 0.5, n),
        rank_N=1 + draws.poisson(20 * noise, n),
    )


def suited(name: str, **changes: Any) -> Answers:
    """Answers that this metric can be computed from: two labels where it wants two, sets where it wants sets."""
    metric = metrics.build(name)
    made = answers(**{**changes, "labels": 2 if metric.objection(RIGHT_TEXTS) else 3})
    if metric.reads == "labels":
        assert made.truth_NL is not None and made.chances_NL is not None
        noise_NL = np.random.default_rng(5).random(made.truth_NL.shape)
        noise = changes.get("noise", 0.4)
        return replace(made, chances_NL=(1 - noise) * made.truth_NL + noise * noise_NL)
    return made


NAMES = metrics.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_built_from_its_name_and_written_back_as_it(name: str) -> None:
    built = metrics.build(name)
    assert built.name == name and metrics.dump(built) == name
    assert metrics.build(metrics.dump(built)) == built


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_and_every_field_of_it_is_documented(name: str) -> None:
    kind = metrics.find(name)
    assert kind.__doc__ and len(kind.model_fields) <= 10
    assert all(field.description for field in kind.model_fields.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_says_a_known_column_and_reads_no_other(name: str) -> None:
    metric = metrics.build(name)
    assert metric.reads in READS
    full = suited(name)
    assert metric.value(light(full, metric)) == metric.value(full)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_does_not_depend_on_the_order_of_items(name: str) -> None:
    metric, given = metrics.build(name), suited(name)
    order_N = np.random.default_rng(1).permutation(len(given))
    assert metric.value(given.take(order_N)) == pytest.approx(metric.value(given), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_where_a_metric_has_values_of_items_their_mean_is_the_metric(name: str) -> None:
    metric, given = metrics.build(name), suited(name)
    each_N = metric.each(given)
    if each_N is not None:
        assert each_N.shape == (len(given),) and each_N.dtype == np.float64
        assert each_N.mean() == pytest.approx(metric.value(given), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_gets_better_in_its_own_direction_when_answers_do(name: str) -> None:
    metric = metrics.build(name)
    change = metric.value(suited(name, noise=0.1)) - metric.value(suited(name, noise=0.8))
    assert change > 0 if metric.higher_is_better else change < 0


WEIGHTED = [name for name in NAMES if isinstance(metrics.build(name), Weighted)]


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_weighted_metric_is_the_metric_of_items_taken_so_often(name: str) -> None:
    metric, given = metrics.build(name), suited(name, n=25)
    assert isinstance(metric, Weighted)
    weights_BN = next(bootstrap_weights(25, seed=3, resamples=20))
    one_by_one = [metric.value(given.take(np.repeat(np.arange(25), times.astype(int)))) for times in weights_BN]
    if not hasattr(metric, "positive"):  # which class is rarer depends on the items
        assert metric.of(given)(weights_BN) == pytest.approx(one_by_one, rel=1e-9)


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_weighted_metric_is_measured_and_compared_as_any_other(name: str) -> None:
    metric, a, b = metrics.build(name), suited(name, noise=0.6), suited(name, noise=0.3)
    a, b = (replace(b, **{each: getattr(a, each) for each in ANSWERED}), b)
    found = compare(a, b, [metric], 0.05, 0.8, 0)[metric.name]
    assert found.method == RESAMPLED and found.better > 0
    assert found.value == pytest.approx(metric.value(b) - metric.value(a))
    back = compare(b, a, [metric], 0.05, 0.8, 0)[metric.name]
    assert (back.value, back.low, back.p) == pytest.approx((-found.value, -found.high, found.p), abs=1e-9)
    estimate = measure(b, [metric], 0.05, 0)[metric.name]
    assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_of_identical_answers_is_never_better(name: str) -> None:
    metric, given = metrics.build(name), suited(name)
    found = compare(given, given, [metric], 0.05, 0.8, 0)[metric.name]
    assert found.value == 0 and found.low <= 0 <= found.high and found.p == 1.0
