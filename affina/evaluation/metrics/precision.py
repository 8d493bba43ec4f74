"""Precision: of the items given a label, the share that has it."""

from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Metric
from affina.evaluation.classes import Average, averaged, count


class Precision(Metric):
    """Right predictions of a class divided by all predictions of it."""

    reads: ClassVar[str] = "label"

    average: Average = "macro"
    """`macro`: mean over the classes that occur among the targets. `micro`: over all predictions together."""

    def value(self, answers: Answers) -> float:
        counts = count(answers)
        return averaged(counts.right_L, counts.predicted_L, counts, self.average)
