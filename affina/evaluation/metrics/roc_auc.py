"""Area under the ROC curve: how often a class is given a higher probability where it is right than where it is not."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.classes import parted
from affina.evaluation.weighted import Ordered, Weighted, over


class RocAuc(Weighted):
    """The Mann–Whitney form, ties counting half (Hanley and McNeil, 1982); of several classes the mean of one against
    the rest over those that occur beside others. 0.5 where only one class is there."""

    reads: ClassVar[str] = "chances"

    def interval(self, answers: Answers, resampled_B: Floats, design: tuple[float, int]) -> tuple[float, float]:
        return parted(answers, super().interval(answers, resampled_B, design), design[0])

    def of(self, answers: Answers) -> Callable[[Floats], Floats]:
        assert answers.target_N is not None and answers.chances_NL is not None, "roc_auc reads chances"
        # Of two classes either has the same area.
        classes = [1] if len(answers.labels) == 2 else np.unique(answers.target_N).tolist()
        sides = [(answers.target_N == each, Ordered(answers.chances_NL[:, each])) for each in classes]

        def areas(weights_BN: Floats) -> Floats:
            total_B, there_B = np.zeros(len(weights_BN)), np.zeros(len(weights_BN))
            for right_N, ordered in sides:
                right_BG, wrong_BG = ordered.sums(weights_BN * right_N), ordered.sums(weights_BN * ~right_N)
                won_B = (wrong_BG * (np.cumsum(right_BG, axis=1) - right_BG / 2)).sum(axis=1)
                pairs_B = right_BG.sum(axis=1) * wrong_BG.sum(axis=1)
                total_B += over(won_B, pairs_B)
                there_B += pairs_B > 0
            return over(total_B, there_B, otherwise=0.5)

        return areas
