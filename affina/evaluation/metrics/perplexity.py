"""Perplexity: exp of the nats per target token, so 1 is certainty and V is a guess among V. Lower is better."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.weighted import Counted, over


class Perplexity(Counted):
    """exp(nats per token) of the targets (Jelinek et al., 1977)."""

    reads: ClassVar[str] = "words"
    higher_is_better: ClassVar[bool] = False

    def counts(self, answers: Answers) -> Floats:
        return np.column_stack([answers.nats_N, answers.tokens_N])

    def total(self, sums_BC: Floats) -> Floats:
        return np.asarray(np.exp(over(sums_BC[:, 0], sums_BC[:, 1])))
