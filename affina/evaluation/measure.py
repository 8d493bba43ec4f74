"""Metrics of one model's answers, each with its confidence interval."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from affina.core.answers import Answers
from affina.core.errors import Failed, Refused
from affina.core.kinds import Floats, Ints, Metric
from affina.evaluation.flips import interval
from affina.evaluation.statistics import around, bootstrap, bootstrap_mean, bootstrap_weights, wilson
from affina.evaluation.weighted import Weighted

COLUMNS = {
    "label": ("target_N", "predicted_N"),
    "chances": ("target_N", "chances_NL"),
    "labels": ("truth_NL", "chances_NL"),
    "text": ("expected", "said", "references"),
    "number": ("value_N", "guess_N"),
    "tags": ("tags", "guessed"),
    "margin": ("margin_N",),
    "rank": ("rank_N",),
}
"""By what a metric reads, beside the nats and tokens that all answers have."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value on n items and its two-sided interval, infinite where n says nothing of the spread."""

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Plain data; what is not a finite number is None, which JSON can hold."""
        return {key: finite(value) for key, value in asdict(self).items()}


def measure(answers: Answers, metrics: Sequence[Metric], alpha: float, seed: int) -> dict[str, Estimate]:
    """Every metric by name, with its 1 - alpha interval: Wilson's for shares of items, the bootstrap's for the rest, as
    a metric of labels, or one with an interval of its own, widens it (`flips.interval`, `Weighted.interval`).

    Raises Refused when there is nothing to measure and Failed when the model's scores are not numbers.
    """
    validate(answers)
    return {metric.name: _estimate(answers, metric, alpha, seed) for metric in metrics}


def validate(answers: Answers) -> None:
    """Raises Refused for no items and Failed, naming the item, for a score that is not a finite number."""
    if not len(answers):
        raise Refused("there is nothing to measure", why="no item was answered", instead="give a split that has rows")
    broken = np.flatnonzero(~np.isfinite(answers.nats_N))
    if broken.size:
        raise Failed(
            f"the model's score of {answers.ids[broken[0]]} is {answers.nats_N[broken[0]]}",
            why=f"{broken.size} of {len(answers)} items have no finite log-probability",
            instead="lower train.learning_rate, or evaluate with train.compute.precision: float32",
        )


def light(answers: Answers, metric: Metric) -> Answers:
    """The answers with no column that the metric does not read: resampling copies columns thousands of times."""
    unread = {name for names in COLUMNS.values() for name in names} - {*COLUMNS.get(metric.reads, ())}
    empty: dict[str, Any] = dict.fromkeys(unread)
    return replace(answers, **empty)


def is_share(each_N: Floats) -> bool:
    """Whether the metric is a share of items: every item counts 0 or 1."""
    return bool(np.isin(each_N, (0.0, 1.0)).all())


def finite(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None


def _estimate(answers: Answers, metric: Metric, alpha: float, seed: int) -> Estimate:
    n, each_N = len(answers), metric.each(answers)
    if each_N is not None and is_share(each_N):
        low, high = wilson(each_N.sum(), n, alpha)
        return Estimate(float(each_N.mean()), float(low), float(high), n)
    value = metric.value(answers)
    if each_N is not None:
        resampled_B = bootstrap_mean(each_N, seed)
    elif isinstance(metric, Weighted):
        held = light(answers, metric)
        weighed = metric.of(held)
        resampled_B = np.concatenate([weighed(weights_BN) for weights_BN in bootstrap_weights(n, seed)])
        if metric.reads == "label":
            return Estimate(value, *interval(held, metric, resampled_B, alpha), n)
        return Estimate(value, *metric.interval(held, resampled_B, (alpha, seed)), n)
    else:
        columns = light(answers, metric)

        def resampled(index_N: Ints) -> float:
            return metric.value(columns.take(index_N))

        resampled_B = bootstrap(resampled, n, seed)
    return Estimate(value, *around(value, resampled_B, n, alpha), n)
