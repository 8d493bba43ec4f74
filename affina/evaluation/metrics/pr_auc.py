"""Area under the precision–recall curve, as average precision: what a rare class needs where ROC flatters."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.classes import parted, positive, unknown
from affina.evaluation.weighted import Ordered, Weighted, over


class PrAuc(Weighted):
    """Σ (recall gained) · precision at every threshold, without interpolation: scikit-learn's average precision.

    Of two classes that of the positive one; of more the mean of one against the rest over those that occur.
    """

    reads: ClassVar[str] = "chances"

    positive: str = ""
    """The class that is to be found; when left out the rarer of two, and of more all of them."""

    def objection(self, labels: Sequence[str]) -> str:
        return unknown(self.positive, labels)

    def settled(self, answers: Answers) -> Metric:
        named = answers.labels[positive(answers, self.positive)] if len(answers.labels) == 2 else self.positive
        return self.model_copy(update={"positive": named})

    def interval(self, answers: Answers, resampled_B: Floats, design: tuple[float, int]) -> tuple[float, float]:
        return parted(answers, super().interval(answers, resampled_B, design), design[0])

    def of(self, answers: Answers) -> Callable[[Floats], Floats]:
        assert answers.target_N is not None and answers.chances_NL is not None, "pr_auc reads chances"
        one = bool(self.positive) or len(answers.labels) == 2
        classes = [positive(answers, self.positive)] if one else np.unique(answers.target_N).tolist()
        sides = [(answers.target_N == each, Ordered(answers.chances_NL[:, each])) for each in classes]

        def areas(weights_BN: Floats) -> Floats:
            total_B, there_B = np.zeros(len(weights_BN)), np.zeros(len(weights_BN))
            for right_N, ordered in sides:
                right_BG, all_BG = ordered.sums(weights_BN * right_N), ordered.sums(weights_BN)
                precision_BG = over(np.cumsum(right_BG, axis=1), np.cumsum(all_BG, axis=1))
                total_B += over((right_BG * precision_BG).sum(axis=1), right_BG.sum(axis=1))
                there_B += right_BG.any(axis=1)
            return over(total_B, there_B)

        return areas
