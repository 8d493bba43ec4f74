"""F1: the harmonic mean of precision and recall, which a class that is never predicted pulls to 0."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.classes import Average, averaged, counted
from affina.evaluation.weighted import Counted


class F1(Counted):
    """2·right / (predicted + actual), the Dice form of the harmonic mean (van Rijsbergen, 1979)."""

    reads: ClassVar[str] = "label"

    average: Average = "macro"
    """`macro`: mean over the classes that occur among the targets. `micro`: over all items together."""

    def counts(self, answers: Answers) -> Floats:
        return counted(answers)

    def total(self, sums_BC: Floats) -> Floats:
        right_BL, predicted_BL, actual_BL = np.split(sums_BC, 3, axis=1)
        return averaged(2 * right_BL, predicted_BL + actual_BL, actual_BL, self.average)
