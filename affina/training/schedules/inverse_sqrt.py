"""One over the square root of the steps, after a linear warm-up (Vaswani et al., 2017)."""

import math

from pydantic import Field

from affina.core.kinds import Heard
from affina.training.warmup import Warmed

ENDLESS = 10_000  # steps; T5's


class InverseSqrt(Warmed):
    """√(t / (t + n)) of the peak n steps after warm-up, whatever the length of the run (Vaswani et al., 2017)."""

    timescale: int | None = Field(None, ge=1)
    """t, in steps. As many as warm-up has when left out, as in the paper; 10 000, as in T5, without a warm-up."""

    def after(self, step: int, steps: int, heard: Heard) -> float:
        climb = self.climb(steps)
        scale = self.timescale or climb or ENDLESS
        return math.sqrt(scale / (scale + step - climb - 1))
