"""Recall at k: how often the right candidate is among the k first."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric


class RecallAt(Metric):
    """Share of items whose right candidate stands on place `k` or before; with k = 1, how often it is the first."""

    reads: ClassVar[str] = "rank"

    k: int = Field(10, ge=1)
    """How many candidates are looked at."""

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """1 where it is among them, 0 elsewhere."""
        assert answers.rank_N is not None, "recall_at reads rank"
        return np.asarray(answers.rank_N <= self.k, np.float64)
