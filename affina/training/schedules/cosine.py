"""Half a cosine from the peak rate to a floor, after a linear warm-up (Loshchilov and Hutter, 2017; no restarts)."""

import math

from pydantic import Field

from affina.training.warmup import Falling


class Cosine(Falling):
    """Falls along half a cosine towards `floor`, due one step after the last (Loshchilov and Hutter, 2017)."""

    floor: float = Field(0.0, ge=0, le=1)
    """The share of the peak rate that the end approaches."""

    def course(self, progress: float) -> float:
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2
