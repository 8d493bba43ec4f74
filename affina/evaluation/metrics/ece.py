"""Expected calibration error: how far the confidence of the likeliest label is from how often it is right."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.answers import Answers
from affina.core.kinds import Floats, Ints
from affina.evaluation.weighted import Counted, over

CALIBRATED = 1000
"""Models that are right as often as they are confident, drawn to see how far such a one is off on these items."""


class Ece(Counted):
    """Mean of |accuracy - confidence| over bins of equal width, by their items (Guo et al., 2017). Lower is better.

    On few items it is above 0 even where every confidence is true. So the interval reaches down to 0 where items drawn
    by these confidences give as much (Bröcker and Smith, 2007), and else by twice what resampling adds.
    """

    reads: ClassVar[str] = "chances"
    higher_is_better: ClassVar[bool] = False

    bins: int = Field(15, ge=1)
    """Bins of the confidence; a bin holds its upper end."""

    def counts(self, answers: Answers) -> Floats:
        assert answers.target_N is not None and answers.chances_NL is not None, "ece reads chances"
        confidence_N = answers.chances_NL.max(axis=1)
        right_N = answers.chances_NL.argmax(axis=1) == answers.target_N
        gaps_NC = np.eye(self.bins)[self._bins(confidence_N)] * (right_N - confidence_N)[:, None]
        return np.column_stack([np.ones(len(answers)), gaps_NC])

    def total(self, sums_BC: Floats) -> Floats:
        return over(np.abs(sums_BC[:, 1:]).sum(axis=1), sums_BC[:, 0])

    def interval(self, answers: Answers, resampled_B: Floats, design: tuple[float, int]) -> tuple[float, float]:
        assert answers.chances_NL is not None, "ece reads chances"
        (alpha, seed), value = design, self.value(answers)
        low, high = super().interval(answers, resampled_B, design)
        true_B = self._calibrated(answers.chances_NL.max(axis=1), seed)
        if value <= np.quantile(true_B, 1 - alpha / 2):
            return 0.0, high
        return max(0.0, low - 2 * max(0.0, float(resampled_B.mean()) - value)), high

    def _calibrated(self, confidence_N: Floats, seed: int) -> Floats:
        """[B] what it is of models of these confidences that are right as often as they are confident."""
        draws, bin_N = np.random.default_rng(seed), self._bins(confidence_N)
        right_B = (draws.random(confidence_N.shape) < confidence_N for _ in range(CALIBRATED))
        gaps = [np.bincount(bin_N, right_N - confidence_N, self.bins) for right_N in right_B]
        return np.asarray(np.abs(gaps).sum(axis=1) / len(confidence_N))

    def _bins(self, confidence_N: Floats) -> Ints:
        return np.asarray(np.clip(np.ceil(confidence_N * self.bins) - 1, 0, self.bins - 1), np.int64)
