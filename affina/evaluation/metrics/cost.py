"""Expected cost of an item where a false alarm and a miss cost differently, at the best threshold."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.classes import positive, unknown
from affina.evaluation.weighted import Ordered, Weighted, over


class Cost(Weighted):
    """(false alarms · their cost + misses · theirs) / items, at the threshold on the positive class's probability
    that makes it least (Drummond and Holte, 2006). The threshold is chosen on the same items, anew in every resample:
    on few of them the cost looks a little lower than it will be. With both costs 1 it is the least error.
    """

    reads: ClassVar[str] = "chances"
    higher_is_better: ClassVar[bool] = False

    false_positive: float = Field(1.0, ge=0)
    """What it costs to call an item positive that is not."""
    false_negative: float = Field(1.0, ge=0)
    """What it costs to miss a positive item."""
    positive: str = ""
    """The class that is to be found; the rarer one when left out."""

    def objection(self, labels: Sequence[str]) -> str:
        if len(labels) != 2:
            return f"a threshold divides two classes, and there are {len(labels)}"
        return unknown(self.positive, labels)

    def settled(self, answers: Answers) -> Metric:
        return self.model_copy(update={"positive": answers.labels[positive(answers, self.positive)]})

    def of(self, answers: Answers) -> Callable[[Floats], Floats]:
        assert answers.target_N is not None and answers.chances_NL is not None, "cost reads chances"
        found = positive(answers, self.positive)
        right_N, ordered = answers.target_N == found, Ordered(answers.chances_NL[:, found])

        def costs(weights_BN: Floats) -> Floats:
            found_BG = np.cumsum(ordered.sums(weights_BN * right_N), axis=1)
            alarms_BG = np.cumsum(ordered.sums(weights_BN * ~right_N), axis=1)
            none_B = self.false_negative * found_BG[:, -1]
            cost_BG = self.false_positive * alarms_BG + self.false_negative * (found_BG[:, -1:] - found_BG)
            return over(np.minimum(none_B, cost_BG.min(axis=1)), weights_BN.sum(axis=1))

        return costs
