"""Metrics of a whole set that are computed for many resamples at once: a resample is how often each item is there.

Axes: B resamples · N items · C counts · G groups of items with equal scores.
"""

from abc import abstractmethod
from collections.abc import Callable

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric


class Weighted(Metric):
    """A metric of items that weigh differently; the plain one is where all weigh 1."""

    @abstractmethod
    def of(self, answers: Answers) -> Callable[[Floats], Floats]:
        """From weights [B, N] of these items to the metric [B]; what does not depend on weights is done before."""

    def value(self, answers: Answers) -> float:
        return float(self.of(answers)(np.ones((1, len(answers))))[0])

    def interval(self, answers: Answers, resampled_B: Floats, design: tuple[float, int]) -> tuple[float, float]:
        """(low, high), from what it is in resamples; the design is (alpha, seed)."""
        from affina.evaluation.statistics import around  # which loads scipy, and validation needs no interval

        return around(self.value(answers), resampled_B, len(answers), design[0])


class Counted(Weighted):
    """A metric of sums over items."""

    @abstractmethod
    def counts(self, answers: Answers) -> Floats:
        """[N, C] what is summed."""

    @abstractmethod
    def total(self, sums_BC: Floats) -> Floats:
        """[B] the metric of the sums."""

    def of(self, answers: Answers) -> Callable[[Floats], Floats]:
        counts_NC = self.counts(answers)
        return lambda weights_BN: self.total(weights_BN @ counts_NC)


def over(above: Floats, below: Floats, otherwise: float = 0.0) -> Floats:
    """Elementwise division, `otherwise` where nothing stands below the line."""
    whole = np.full(np.broadcast_shapes(above.shape, below.shape), otherwise)
    return np.asarray(np.divide(above, below, out=whole, where=below != 0))


class Ordered:
    """Items by falling score, those of equal score as one group."""

    def __init__(self, scores_N: Floats) -> None:
        self._order = np.argsort(-scores_N, kind="stable")
        self._starts = np.flatnonzero(np.r_[True, np.diff(scores_N[self._order]) != 0])

    def sums(self, weights_BN: Floats) -> Floats:
        """[B, G] each group's weight."""
        return np.asarray(np.add.reduceat(weights_BN[:, self._order], self._starts, axis=1))

    def middles(self, weights_BN: Floats) -> Floats:
        """[B, N] each item's rank from the end, a group sharing its middle one, as if it stood there weight times."""
        sums_BG = self.sums(weights_BN)
        below_BG = sums_BG.sum(axis=1, keepdims=True) - np.cumsum(sums_BG, axis=1)
        groups_N = np.repeat(np.arange(len(self._starts)), np.diff(np.r_[self._starts, len(self._order)]))
        ranks_BN = np.empty_like(weights_BN)
        ranks_BN[:, self._order] = (below_BG + (sums_BG + 1) / 2)[:, groups_N]
        return ranks_BN
