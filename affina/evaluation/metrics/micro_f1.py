"""Micro F1 of sets of labels: every label of every item counts once."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.classes import chosen
from affina.evaluation.weighted import Counted, over


class MicroF1(Counted):
    """2·right / (given + actual) over all labels together; a label is given from `threshold` on."""

    reads: ClassVar[str] = "labels"

    threshold: float = 0.5
    """The probability from which on a label is given."""

    def counts(self, answers: Answers) -> Floats:
        truth_NL, given_NL = chosen(answers, self.threshold)
        both_N = (truth_NL & given_NL).sum(axis=1)
        return np.column_stack([2 * both_N, truth_NL.sum(axis=1) + given_NL.sum(axis=1)]).astype(np.float64)

    def total(self, sums_BC: Floats) -> Floats:
        return over(sums_BC[:, 0], sums_BC[:, 1])
