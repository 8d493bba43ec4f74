"""Mean reciprocal rank: 1 where the right candidate is first, a half where it is second, and so on."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric


class Mrr(Metric):
    """Mean of 1 / the right candidate's place (Voorhees, 1999)."""

    reads: ClassVar[str] = "rank"

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """1 / place of every item."""
        assert answers.rank_N is not None, "mrr reads rank"
        return np.asarray(1 / answers.rank_N)
