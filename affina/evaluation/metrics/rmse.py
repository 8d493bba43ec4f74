"""Root mean squared error: how far numbers are off, in their own units, large misses counting more."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.numbers import both
from affina.evaluation.weighted import Counted, over


class Rmse(Counted):
    """√ of the mean squared difference. Lower is better."""

    reads: ClassVar[str] = "number"
    higher_is_better: ClassVar[bool] = False

    def counts(self, answers: Answers) -> Floats:
        value_N, guess_N = both(answers)
        return np.column_stack([np.ones(len(answers)), (guess_N - value_N) ** 2])

    def total(self, sums_BC: Floats) -> Floats:
        return np.sqrt(over(sums_BC[:, 1], sums_BC[:, 0]))
