"""Distance to the k-th nearest normal embedding (Sun et al., 2022)."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.kinds import Arrays, Floats, Novelty

TOGETHER = 1024  # rows compared at once: bounds memory, changes no number


class Neighbour(Novelty):
    """How far a row lies from the normal rows around it; no shape of the whole is assumed."""

    reads: ClassVar[str] = "vectors"

    k: int = Field(1, ge=1)
    """Which neighbour, the nearest being 1; the farthest where there are fewer normal rows."""

    def fit(self, normal_ND: Floats) -> Arrays:
        return {"rows": normal_ND}

    def score(self, learnt: Arrays, rows_ND: Floats) -> Floats:
        normal_MD = learnt["rows"]
        place, sizes_M = min(self.k, len(normal_MD)) - 1, (normal_MD**2).sum(axis=1)
        found = []
        for start in range(0, len(rows_ND), TOGETHER):
            part_ND = rows_ND[start : start + TOGETHER]
            squares_NM = (part_ND**2).sum(axis=1, keepdims=True) + sizes_M - 2 * part_ND @ normal_MD.T
            found.append(np.sqrt(np.maximum(np.partition(squares_NM, place, axis=1)[:, place], 0)))
        return np.concatenate(found)
