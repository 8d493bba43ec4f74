"""F1: the harmonic mean of precision and recall, which a class that is never predicted pulls to 0."""

from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Metric
from affina.evaluation.classes import Average, averaged, count


class F1(Metric):
    """2·right / (predicted + actual), the Dice form of the harmonic mean (van Rijsbergen, 1979)."""

    reads: ClassVar[str] = "label"

    average: Average = "macro"
    """`macro`: mean over the classes that occur among the targets. `micro`: over all items together."""

    def value(self, answers: Answers) -> float:
        counts = count(answers)
        return averaged(2 * counts.right_L, counts.predicted_L + counts.actual_L, counts, self.average)
