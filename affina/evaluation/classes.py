"""Classification answers counted: right, predicted and actual items of every class, and the confusion matrix."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from affina.core.answers import Answers
from affina.core.kinds import Floats, Ints
from affina.evaluation.weighted import over

Average = Literal["macro", "micro"]
OTHER = "(no known label)"


def counted(answers: Answers) -> Floats:
    """[N, 3L] of every item: its class where it is right, the class it was given, its class.

    An answer outside the known labels (-1) is a miss for its class and a prediction of none.
    """
    assert answers.target_N is not None and answers.predicted_N is not None, "counting classes reads label"
    classes = np.vstack([np.eye(len(answers.labels)), np.zeros(len(answers.labels))])
    actual_NL, predicted_NL = classes[answers.target_N], classes[answers.predicted_N]
    return np.hstack([actual_NL * predicted_NL, predicted_NL, actual_NL])


def averaged(above_BL: Floats, below_BL: Floats, actual_BL: Floats, average: Average) -> Floats:
    """[B] the ratio above/below: macro is the mean over the classes that occur among the targets, micro that of sums.

    A class with nothing below the line counts 0, as scikit-learn's `zero_division=0`.
    """
    if average == "micro":
        return over(above_BL.sum(axis=1), below_BL.sum(axis=1))
    occurs_BL = actual_BL > 0
    return over((over(above_BL, below_BL) * occurs_BL).sum(axis=1), occurs_BL.sum(axis=1))


def confusion(answers: Answers) -> tuple[tuple[str, ...], Ints]:
    """The labels and how often each actual one (row) was answered as each (column).

    Answers outside the known labels get a column, and a row of zeros, called `(no known label)`.
    """
    assert answers.target_N is not None and answers.predicted_N is not None, "a confusion matrix reads label"
    outside = bool((answers.predicted_N < 0).any())
    labels = (*answers.labels, OTHER) if outside else answers.labels
    size = len(labels)
    predicted_N = np.where(answers.predicted_N < 0, size - 1, answers.predicted_N)
    counts = np.bincount(answers.target_N * size + predicted_N, minlength=size * size)
    return labels, counts.reshape(size, size)


def positive(answers: Answers, named: str) -> int:
    """The place of the positive label: the named one, or the rarer among the targets (of equals the last)."""
    assert answers.target_N is not None, "counting classes reads chances"
    if named:
        return answers.labels.index(named)
    counts_L = np.bincount(answers.target_N, minlength=len(answers.labels))
    return len(counts_L) - 1 - int(counts_L[::-1].argmin())


def parted(answers: Answers, ends: tuple[float, float], alpha: float) -> tuple[float, float]:
    """The ends of an area's interval. Where every item of a class stands before all others, so that no resample moves
    the area, the lower one is Wilson's of as many items that are all right as the smallest class has."""
    assert answers.target_N is not None, "counting classes reads chances"
    low, high = ends
    if low < high or low < 1:
        return ends
    from affina.evaluation.statistics import wilson  # which loads scipy, and training needs none

    fewest = int(np.unique(answers.target_N, return_counts=True)[1].min())
    return float(wilson(fewest, fewest, alpha)[0]), 1.0


def unknown(named: str, labels: Sequence[str]) -> str:
    """The complaint about a positive label that is none of the known ones; empty where there is none."""
    return f"the positive label '{named}' is none of {', '.join(labels)}" if named and named not in labels else ""


def chosen(answers: Answers, threshold: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """[N, L] where several labels may be right: which are, and which are given, likely enough."""
    assert answers.truth_NL is not None and answers.chances_NL is not None, "this metric reads labels"
    return answers.truth_NL > 0, answers.chances_NL >= threshold
