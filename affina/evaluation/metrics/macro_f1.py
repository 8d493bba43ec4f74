"""Macro F1 of sets of labels: the mean of every label's own F1, so that rare labels count as much as common ones."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.classes import chosen
from affina.evaluation.weighted import Counted, over


class MacroF1(Counted):
    """Mean of 2·right / (given + actual) over the labels that occur among the right ones."""

    reads: ClassVar[str] = "labels"

    threshold: float = 0.5
    """The probability from which on a label is given."""

    def counts(self, answers: Answers) -> Floats:
        truth_NL, given_NL = chosen(answers, self.threshold)
        return np.hstack([truth_NL & given_NL, truth_NL, given_NL]).astype(np.float64)

    def total(self, sums_BC: Floats) -> Floats:
        both_BL, actual_BL, given_BL = np.split(sums_BC, 3, axis=1)
        f1_BL = over(2 * both_BL, actual_BL + given_BL)
        occurs_BL = actual_BL > 0
        return over((f1_BL * occurs_BL).sum(axis=1), occurs_BL.sum(axis=1))
