"""Perplexity: exp of the nats per target token, so 1 is certainty and V is a guess among V. Lower is better."""

import math
from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Metric


class Perplexity(Metric):
    """exp(nats per token) of the targets (Jelinek et al., 1977)."""

    reads: ClassVar[str] = "words"
    higher_is_better: ClassVar[bool] = False

    def value(self, answers: Answers) -> float:
        return math.exp(float(answers.nats_N.sum() / answers.tokens_N.sum()))
