"""Chances that are never 0, and settings of a head chosen by what the validation split gives them."""

from collections.abc import Callable, Iterable

import numpy as np

from affina.core.kinds import Arrays, Floats, Vectors


def hedged(chances_NL: Floats, train: Vectors) -> Floats:
    """[N, L] as if each chance also counted one more row of unknown class, likely as classes are among training rows.

    A class that never came near has then a small chance instead of none, whose logarithm nobody could measure.
    """
    n = len(train.targets_N)
    shares_L = np.bincount(train.targets_N.astype(np.int64), minlength=train.classes) + 1.0
    mixed_NL: Floats = (n * chances_NL + shares_L / shares_L.sum()) / (n + 1)
    return mixed_NL


def loss(answers: Floats, right: Vectors, train: Vectors) -> float:
    """Mean nats of the right classes, or half the mean squared error of numbers."""
    if not right.classes:
        return float(((answers[:, 0] - right.targets_N) ** 2).mean() / 2)
    of_N = hedged(answers, train)[np.arange(len(answers)), right.targets_N.astype(np.int64)]
    return float(-np.log(of_N).mean())


def settled(
    learnt: Iterable[Arrays], answer: Callable[[Arrays], Floats], validation: Vectors, train: Vectors
) -> Arrays:
    """Of several that learnt the same rows the one whose answers to the validation rows lose least, of equals the
    first."""
    return min(learnt, key=lambda each: loss(answer(each), validation, train))
