"""Recall: of the items that have a label, the share that was given it."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.classes import Average, averaged, counted
from affina.evaluation.weighted import Counted


class Recall(Counted):
    """Right predictions of a class divided by its items."""

    reads: ClassVar[str] = "label"

    average: Average = "macro"
    """`macro`: mean over the classes that occur among the targets. `micro`: over all items together."""

    def counts(self, answers: Answers) -> Floats:
        return counted(answers)

    def total(self, sums_BC: Floats) -> Floats:
        right_BL, _, actual_BL = np.split(sums_BC, 3, axis=1)
        return averaged(right_BL, actual_BL, actual_BL, self.average)
