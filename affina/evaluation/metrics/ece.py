"""Expected calibration error: how far the confidence of the likeliest label is from how often it is right."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.weighted import Counted, over


class Ece(Counted):
    """Mean of |accuracy - confidence| over bins of equal width, by their items (Guo et al., 2017). Lower is better."""

    reads: ClassVar[str] = "chances"
    higher_is_better: ClassVar[bool] = False

    bins: int = Field(15, ge=1)
    """Bins of the confidence; a bin holds its upper end."""

    def counts(self, answers: Answers) -> Floats:
        assert answers.target_N is not None and answers.chances_NL is not None, "ece reads chances"
        confidence_N = answers.chances_NL.max(axis=1)
        right_N = answers.chances_NL.argmax(axis=1) == answers.target_N
        bin_N = np.clip(np.ceil(confidence_N * self.bins) - 1, 0, self.bins - 1).astype(np.int64)
        gaps_NC = np.eye(self.bins)[bin_N] * (right_N - confidence_N)[:, None]
        return np.column_stack([np.ones(len(answers)), gaps_NC])

    def total(self, sums_BC: Floats) -> Floats:
        return over(np.abs(sums_BC[:, 1:]).sum(axis=1), sums_BC[:, 0])
