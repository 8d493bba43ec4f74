"""Accuracy: the share of items whose likeliest label is the right one."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric


class Accuracy(Metric):
    """Share of items answered with the right label; an answer outside the known labels is wrong."""

    reads: ClassVar[str] = "label"

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """1 for a right item, 0 for a wrong one."""
        assert answers.target_N is not None and answers.predicted_N is not None, "accuracy reads label"
        return np.asarray(answers.target_N == answers.predicted_N, np.float64)
