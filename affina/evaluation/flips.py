"""By how much a metric of labels moves when one item's answer is another: what resampling answers that are all right,
or all alike, does not show.

Axes: N items · P items whose answer is changed, one at a time.
"""

import math
from dataclasses import replace

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.statistics import around, normal_quantile
from affina.evaluation.weighted import Weighted

_CELLS = 2_000_000
"""Weights that are laid out at a time."""
ROUNDING = 1e-12


def moves(answers: Answers, metric: Metric) -> tuple[float, float]:
    """The largest fall and the largest rise that one item's other answer makes: where it was right the rarest other
    label, which weighs most, where it was wrong the right one. (0, 0) for a metric that is no function of labels given.
    """
    if not isinstance(metric, Weighted) or metric.reads != "label":
        return 0.0, 0.0
    n, places = len(answers), _unlike(answers)
    of, moved = metric.of(answers.joined(_turned(answers))), [np.zeros(1)]
    for start in range(0, len(places), max(1, _CELLS // (2 * n))):
        part = places[start : start + max(1, _CELLS // (2 * n))]
        weights = np.hstack([np.ones((len(part), n)), np.zeros((len(part), n))])
        weights[np.arange(len(part)), part] = 0
        weights[np.arange(len(part)), n + part] = 1
        moved.append(of(weights) - metric.value(answers))
    moved_P: Floats = np.concatenate(moved)
    return float(moved_P.min()), float(moved_P.max())


def interval(answers: Answers, metric: Weighted, resampled_B: Floats, alpha: float) -> tuple[float, float]:
    """(low, high) of a metric of labels, from what it is in resamples, and as wide as one other answer makes it
    where few items are of a class.

    Where no resample moves it, as many answers may be others as Wilson's interval has at its end where all items are
    right, n·z² / (n + z²); for accuracy the two are the same (Wilson, 1927).
    """
    n, value, (fall, rise) = len(answers), metric.value(answers), moves(answers, metric)
    low, high = around(value, resampled_B, n, alpha)
    z2 = normal_quantile(1 - alpha / 2) ** 2
    items = n * z2 / (n + z2) if high - low < ROUNDING else math.sqrt(z2) * n / (n + 2)
    lowest = min(value, metric.value(_turned(answers)))
    return min(low, max(value + items * fall, lowest)), max(high, min(value + items * rise, 1.0))


def _turned(answers: Answers) -> Answers:
    """With every answer another."""
    target_N = answers.target_N
    assert target_N is not None and answers.predicted_N is not None, "flips read label"
    found, times = np.unique(target_N, return_counts=True)
    first, second = (*found[np.argsort(times, kind="stable")], -1)[:2]
    other_N = np.where(target_N == first, second, first)
    return replace(answers, predicted_N=np.where(answers.predicted_N == target_N, other_N, target_N))


def _unlike(answers: Answers) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """[P] an item of every class and answer: others of the same move a metric as it does."""
    assert answers.target_N is not None and answers.predicted_N is not None, "flips read label"
    pairs_N = answers.target_N * (len(answers.labels) + 1) + answers.predicted_N + 1
    return np.asarray(np.unique(pairs_N, return_index=True)[1], np.int64)
