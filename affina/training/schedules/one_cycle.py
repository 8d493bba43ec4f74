"""One rise and one long fall, far below where it began: the 1cycle policy (Smith and Topin, 2019)."""

import math
from typing import Literal

from pydantic import Field

from affina.core.kinds import Heard, Schedule


class OneCycle(Schedule):
    """Rises to the peak rate and falls far below its start (Smith and Topin, 2019). Momentum is left as it is."""

    pct_start: float = Field(0.3, gt=0, le=1)
    """The share of all steps in which the rate rises; its last step takes the peak rate."""
    start: float = Field(0.04, gt=0, le=1)
    """The share of the peak rate at the first step; 1/25 in the paper's experiments."""
    floor: float = Field(4e-6, gt=0, le=1)
    """The share of the peak rate at the last step."""
    anneal: Literal["cosine", "linear"] = "cosine"
    """How it rises and falls: along half a cosine each, or in straight lines as in the paper."""

    def factor(self, step: int, steps: int, heard: Heard = ()) -> float:
        """The share of the peak rate at `step` of 1 … `steps`."""
        peak = max(1, round(self.pct_start * steps))
        if step <= peak:
            return self._between(self.start, 1.0, (peak - step) / max(1, peak - 1))
        return self._between(self.floor, 1.0, (step - peak) / (steps - peak))

    def _between(self, low: float, high: float, away: float) -> float:
        """`high` where `away` is 0, `low` where it is 1."""
        share = (1 - math.cos(math.pi * away)) / 2 if self.anneal == "cosine" else away
        return high * (1 - share) + low * share
