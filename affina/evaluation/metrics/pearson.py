"""Pearson's correlation of the numbers given with the right ones: 1 where they lie on a rising line."""

from collections.abc import Callable
from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.numbers import both, correlation
from affina.evaluation.weighted import Weighted


class Pearson(Weighted):
    """Covariance over both spreads; 0 where either side is always the same number."""

    reads: ClassVar[str] = "number"

    def of(self, answers: Answers) -> Callable[[Floats], Floats]:
        value_N, guess_N = both(answers)
        return lambda weights_BN: correlation(value_N[None], guess_N[None], weights_BN)
