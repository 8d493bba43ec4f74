"""Mean absolute error: how far numbers are off, in their own units. Lower is better."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.numbers import both


class Mae(Metric):
    """Mean of |given - right|."""

    reads: ClassVar[str] = "number"
    higher_is_better: ClassVar[bool] = False

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """Every item's distance."""
        value_N, guess_N = both(answers)
        return np.asarray(np.abs(guess_N - value_N))
