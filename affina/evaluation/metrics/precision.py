"""Precision: of the items given a label, the share that has it."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.classes import Average, averaged, counted
from affina.evaluation.weighted import Counted


class Precision(Counted):
    """Right predictions of a class divided by all predictions of it."""

    reads: ClassVar[str] = "label"

    average: Average = "macro"
    """`macro`: mean over the classes that occur among the targets. `micro`: over all predictions together."""

    def counts(self, answers: Answers) -> Floats:
        return counted(answers)

    def total(self, sums_BC: Floats) -> Floats:
        right_BL, predicted_BL, actual_BL = np.split(sums_BC, 3, axis=1)
        return averaged(right_BL, predicted_BL, actual_BL, self.average)
