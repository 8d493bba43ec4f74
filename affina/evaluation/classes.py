"""Classification answers counted: right, predicted and actual items of every class, and the confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from affina.core.answers import Answers
from affina.core.kinds import Floats, Ints

Average = Literal["macro", "micro"]
OTHER = "(no known label)"


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Items of every label, as columns over L: rightly predicted, predicted, and actual."""

    right_L: Ints
    predicted_L: Ints
    actual_L: Ints


def count(answers: Answers) -> ClassCounts:
    """Counts over the known labels; an answer outside them (-1) is a miss for its class and a prediction of none."""
    assert answers.target_N is not None and answers.predicted_N is not None, "counting classes reads label"
    target_N, predicted_N, size = answers.target_N, answers.predicted_N, len(answers.labels)
    return ClassCounts(
        right_L=np.bincount(target_N[target_N == predicted_N], minlength=size),
        predicted_L=np.bincount(predicted_N[predicted_N >= 0], minlength=size),
        actual_L=np.bincount(target_N, minlength=size),
    )


def averaged(over_L: Ints, under_L: Ints, counts: ClassCounts, average: Average) -> float:
    """The ratio over/under: macro is the mean over the classes that occur among the targets, micro the ratio of sums.

    A class with nothing below the line counts 0, as scikit-learn's `zero_division=0`.
    """
    if average == "micro":
        over_L, under_L = over_L.sum(keepdims=True), under_L.sum(keepdims=True)
    else:
        occurs_L = counts.actual_L > 0
        over_L, under_L = over_L[occurs_L], under_L[occurs_L]
    return float(ratio(over_L, under_L).mean())


def ratio(over_L: Ints, under_L: Ints) -> Floats:
    """Elementwise division with 0 where nothing stands below the line."""
    return np.divide(over_L, under_L, out=np.zeros(len(over_L)), where=under_L > 0)


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


def unknown(named: str, labels: Sequence[str]) -> str:
    """The complaint about a positive label that is none of the known ones; empty where there is none."""
    return f"the positive label '{named}' is none of {', '.join(labels)}" if named and named not in labels else ""


def chosen(answers: Answers, threshold: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """[N, L] where several labels may be right: which are, and which are given, likely enough."""
    assert answers.truth_NL is not None and answers.chances_NL is not None, "this metric reads labels"
    return answers.truth_NL > 0, answers.chances_NL >= threshold
