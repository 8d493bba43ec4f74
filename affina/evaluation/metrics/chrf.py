"""chrF: how many runs of characters a translation shares with the right one; kind to rich morphology."""

from collections import Counter
from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.references import pairs
from affina.evaluation.weighted import Counted, over


class Chrf(Counted):
    """F of runs of 1 … `order` characters without white space, over the whole set (Popović, 2015), from 0 to 1: a
    hundredth of sacrebleu's chrF2. Of several right texts the one with the best F counts."""

    reads: ClassVar[str] = "text"

    order: int = Field(6, ge=1)
    """The longest run of characters."""
    beta: float = Field(2.0, gt=0)
    """How much more what is missing counts than what is too much."""

    def counts(self, answers: Answers) -> Floats:
        return np.array([self._nearest(said, [*right]) for said, right in pairs(answers)], dtype=np.float64)

    def total(self, sums_BC: Floats) -> Floats:
        said_BO, right_BO, both_BO = np.split(sums_BC, 3, axis=1)
        # An order that either side is too short for is left out.
        known_BO = (said_BO > 0) & (right_BO > 0)
        orders_B = known_BO.sum(axis=1)
        precision_B = over(over(both_BO, said_BO * known_BO).sum(axis=1), orders_B)
        recall_B = over(over(both_BO, right_BO * known_BO).sum(axis=1), orders_B)
        factor = self.beta**2
        return over((1 + factor) * precision_B * recall_B, factor * precision_B + recall_B)

    def _nearest(self, said: str, right: list[str]) -> Floats:
        """[3·order] runs said, right and both, beside the right text with the best F."""
        own = self._runs(said)
        rows = np.array([self._beside(own, self._runs(text)) for text in right], dtype=np.float64)
        return np.asarray(rows[int(self.total(rows).argmax())])

    def _runs(self, text: str) -> list[Counter[str]]:
        bare = "".join(text.split())
        return [
            Counter(bare[start : start + size] for start in range(len(bare) - size + 1))
            for size in range(1, self.order + 1)
        ]

    def _beside(self, said: list[Counter[str]], right: list[Counter[str]]) -> list[int]:
        # Runs of a length that the right text has none of are not held against what was said.
        made = [one.total() if two else 0 for one, two in zip(said, right, strict=True)]
        shared = [(one & two).total() for one, two in zip(said, right, strict=True)]
        return [*made, *(two.total() for two in right), *shared]
