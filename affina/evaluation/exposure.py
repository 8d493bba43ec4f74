"""Exposure of a secret (Carlini et al., 2019): log2 of how many are possible, minus log2 of its rank among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from affina.core.kinds import Floats

ENOUGH = 10
"""Candidates below a secret from which on their share is counted; below fewer, it is read off a fitted skew normal."""


@dataclass(frozen=True)
class Space:
    """Nats that a model gives to candidates: to all secrets that are possible, or to a sample of them."""

    nats_N: Floats
    size: float
    """How many secrets are possible."""

    @property
    def whole(self) -> bool:
        """Whether these are all."""
        return len(self.nats_N) >= self.size

    def exposure(self, nats: float, among: bool = False) -> tuple[float, bool]:
        """Of a secret of so many nats, and whether it is extrapolated; `among`: it is one of the candidates itself.

        Where all are known it is exact; equals share their ranks. Of a sample the share below is counted (4.3 of the
        paper), or, where nearly none is, read off a skew normal fitted to the sample (4.4): at most log2 of the size.
        """
        below = float((self.nats_N < nats).sum()) + ((self.nats_N == nats).sum() - among) / 2
        if self.whole:
            return float(np.log2(self.size) - np.log2(1 + below)), False
        if below >= ENOUGH:
            return float(-np.log2(below / (len(self.nats_N) - among))), False
        return self._extrapolated(nats), True

    def _extrapolated(self, nats: float) -> float:
        from scipy import stats

        share = float(stats.skewnorm.cdf(nats, *self.skew_normal))
        return float(-np.log2(min(max(share, 1 / self.size), 1.0)))

    @cached_property
    def skew_normal(self) -> tuple[float, float, float]:
        """Shape, place and scale of the skew normal that the nats are likeliest under."""
        from scipy import stats

        shape, place, scale = stats.skewnorm.fit(self.nats_N)
        return float(shape), float(place), float(scale)

    @cached_property
    def fit_p(self) -> float:
        """Kolmogorov and Smirnov's p that the nats come from the skew normal: small where extrapolation misleads."""
        from scipy import stats

        return float(stats.kstest(self.nats_N, "skewnorm", args=self.skew_normal).pvalue)
