"""Brier score: the squared distance between the probabilities given and what was right. Lower is better."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric


class Brier(Metric):
    """Mean of Σ (probability - 1 where right)² over the classes (Brier, 1950), halved for two classes as is usual."""

    reads: ClassVar[str] = "chances"
    higher_is_better: ClassVar[bool] = False

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """Every item's squared distance."""
        assert answers.target_N is not None and answers.chances_NL is not None, "brier reads chances"
        size = len(answers.labels)
        squares_N = ((answers.chances_NL - np.eye(size)[answers.target_N]) ** 2).sum(axis=1)
        return np.asarray(squares_N / 2 if size == 2 else squares_N)
