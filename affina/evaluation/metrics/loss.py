"""Cross-entropy: the nats of all targets divided by their tokens (one per item for a label head). Lower is better."""

from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Metric


class Loss(Metric):
    """Mean negative log-likelihood of a target token, in nats."""

    reads: ClassVar[str] = "nats"
    higher_is_better: ClassVar[bool] = False

    def value(self, answers: Answers) -> float:
        return float(answers.nats_N.sum() / answers.tokens_N.sum())
