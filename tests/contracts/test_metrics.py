"""The law every metric keeps: built from defaults, documented, deterministic, and honest about what it reads."""

from dataclasses import replace

import numpy as np
import pytest

from affina.core.answers import Answers
from affina.core.kinds import metrics

RIGHT_TEXTS = ("yes", "no", "perhaps")


def answers(n: int = 60, seed: int = 0, noise: float = 0.4) -> Answers:
    """Answers with every column; a larger `noise` makes them worse."""
    draws = np.random.default_rng(seed)
    target_N = draws.integers(0, 3, n)
    predicted_N = np.where(draws.random(n) < noise, draws.integers(-1, 3, n), target_N)
    tokens_N = draws.integers(1, 9, n).astype(np.float64)
    return Answers(
        ids=tuple(f"file:{i}" for i in range(n)),
        nats_N=tokens_N * draws.gamma(2.0, noise, n),
        tokens_N=tokens_N,
        labels=RIGHT_TEXTS,
        target_N=target_N,
        predicted_N=predicted_N,
        expected=tuple(RIGHT_TEXTS[i] for i in target_N),
        said=tuple("?" if i < 0 else RIGHT_TEXTS[i] for i in predicted_N),
    )


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
    assert metric.reads in {"nats", "words", "label", "text"}
    full = answers()
    bare = full
    if metric.reads != "label":
        bare = replace(bare, labels=(), target_N=None, predicted_N=None)
    if metric.reads != "text":
        bare = replace(bare, expected=None, said=None)
    assert metric.value(bare) == metric.value(full)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_does_not_depend_on_the_order_of_items(name: str) -> None:
    metric, given = metrics.build(name), answers()
    order_N = np.random.default_rng(1).permutation(len(given))
    assert metric.value(given.take(order_N)) == pytest.approx(metric.value(given), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_where_a_metric_has_values_of_items_their_mean_is_the_metric(name: str) -> None:
    metric, given = metrics.build(name), answers()
    each_N = metric.each(given)
    if each_N is not None:
        assert each_N.shape == (len(given),) and each_N.dtype == np.float64
        assert each_N.mean() == pytest.approx(metric.value(given), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_gets_better_in_its_own_direction_when_answers_do(name: str) -> None:
    metric = metrics.build(name)
    change = metric.value(answers(noise=0.1)) - metric.value(answers(noise=0.8))
    assert change > 0 if metric.higher_is_better else change < 0
