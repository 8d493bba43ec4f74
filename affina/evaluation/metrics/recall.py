"""Recall: of the items that have a label, the share that was given it."""

from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Metric
from affina.evaluation.classes import Average, averaged, count


class Recall(Metric):
    """Right predictions of a class divided by its items."""

    reads: ClassVar[str] = "label"

    average: Average = "macro"
    """`macro`: mean over the classes that occur among the targets. `micro`: over all items together."""

    def value(self, answers: Answers) -> float:
        counts = count(answers)
        return averaged(counts.right_L, counts.actual_L, counts, self.average)
