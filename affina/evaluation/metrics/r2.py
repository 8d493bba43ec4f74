"""R²: the share of the numbers' variance that is told; 0 for always saying their mean, below it for worse."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.numbers import both
from affina.evaluation.weighted import Counted, over


class R2(Counted):
    """1 - squared error / squared distance from the mean of these items; 0 where all are the same number."""

    reads: ClassVar[str] = "number"

    def counts(self, answers: Answers) -> Floats:
        value_N, guess_N = both(answers)
        # About the middle: sums of squares far from zero would lose the digits that matter.
        centred_N = value_N - value_N.mean()
        return np.column_stack([np.ones(len(answers)), centred_N, centred_N**2, (guess_N - value_N) ** 2])

    def total(self, sums_BC: Floats) -> Floats:
        n_B, sum_B, squares_B, error_B = sums_BC.T
        spread_B = squares_B - over(sum_B**2, n_B)
        same_B = spread_B <= 1e-12 * squares_B  # rounding alone
        return np.where(same_B, 0.0, 1 - over(error_B, np.where(same_B, 0.0, spread_B)))
