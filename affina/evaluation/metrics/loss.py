"""Cross-entropy: the nats of all targets divided by their tokens (one per item for a label head). Lower is better."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.weighted import Counted, over


class Loss(Counted):
    """Mean negative log-likelihood of a target token, in nats."""

    reads: ClassVar[str] = "nats"
    higher_is_better: ClassVar[bool] = False

    def counts(self, answers: Answers) -> Floats:
        return np.column_stack([answers.nats_N, answers.tokens_N])

    def total(self, sums_BC: Floats) -> Floats:
        return over(sums_BC[:, 0], sums_BC[:, 1])
