"""Subset accuracy: the share of items whose labels are exactly the right ones."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.classes import chosen


class SubsetAccuracy(Metric):
    """Share of items given every right label and no other."""

    reads: ClassVar[str] = "labels"

    threshold: float = 0.5
    """The probability from which on a label is given."""

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """1 for an item that is all right, 0 for another."""
        truth_NL, given_NL = chosen(answers, self.threshold)
        return np.asarray((truth_NL == given_NL).all(axis=1), np.float64)
