"""Pair accuracy: how often the preferred answer of two has the higher score."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric


class PairAccuracy(Metric):
    """Share of pairs whose preferred answer scores higher; equal scores are half right."""

    reads: ClassVar[str] = "margin"

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """1 for a pair in the right order, 0 in the wrong one, 0.5 in none."""
        assert answers.margin_N is not None, "pair_accuracy reads margin"
        return np.asarray((1 + np.sign(answers.margin_N)) / 2)
