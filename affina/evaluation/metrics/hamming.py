"""Hamming loss: the share of labels that are wrongly given or wrongly left out. Lower is better."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.classes import chosen


class Hamming(Metric):
    """Wrong decisions divided by all of them, one per item and label."""

    reads: ClassVar[str] = "labels"
    higher_is_better: ClassVar[bool] = False

    threshold: float = 0.5
    """The probability from which on a label is given."""

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """Every item's share of wrong decisions."""
        truth_NL, given_NL = chosen(answers, self.threshold)
        return np.asarray((truth_NL != given_NL).mean(axis=1))
