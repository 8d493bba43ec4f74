"""Spearman's correlation: whether the numbers given rise and fall with the right ones, whatever their scale."""

from collections.abc import Callable
from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.numbers import both, correlation
from affina.evaluation.weighted import Ordered, Weighted


class Spearman(Weighted):
    """Pearson's correlation of the ranks, equal numbers sharing their middle rank (Spearman, 1904)."""

    reads: ClassVar[str] = "number"

    def of(self, answers: Answers) -> Callable[[Floats], Floats]:
        values, guesses = (Ordered(each_N) for each_N in both(answers))
        return lambda weights_BN: correlation(values.middles(weights_BN), guesses.middles(weights_BN), weights_BN)
