"""A power of what is left, from the peak rate to a floor, after a linear warm-up."""

import math

from pydantic import Field

from affina.training.warmup import Falling


class Polynomial(Falling):
    """Falls as a power of the share of steps that is left (Liu et al., 2015, "ParseNet"; BERT's with power 1)."""

    power: float = Field(2.0, gt=0)
    """1 is a straight line; more falls sooner, less falls later."""
    floor: float = Field(0.0, ge=0, le=1)
    """The share of the peak rate that the end approaches."""

    def course(self, progress: float) -> float:
        return self.floor + (1 - self.floor) * math.pow(1 - progress, self.power)
