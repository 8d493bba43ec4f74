"""Half a cosine again and again, each time from the peak rate: SGDR (Loshchilov and Hutter, 2017)."""

import math
from itertools import accumulate

from pydantic import Field

from affina.core.kinds import Heard
from affina.training.warmup import Warmed


class CosineRestarts(Warmed):
    """Falls along half a cosine and starts again at the peak: SGDR (Loshchilov and Hutter, 2017).

    A cycle begins on a whole step, so that every restart takes the whole peak rate.
    """

    cycles: int = Field(3, ge=1, le=300)
    """How many times it falls; 1 is `cosine`."""
    growth: float = Field(1.0, ge=1, le=10)
    """How many times as long as the one before a cycle is: the paper's T_mult."""
    floor: float = Field(0.0, ge=0, le=1)
    """The share of the peak rate that each cycle's end approaches."""

    def after(self, step: int, steps: int, heard: Heard) -> float:
        climb = self.climb(steps)
        done, lengths = step - climb - 1, list(accumulate(self.growth**number for number in range(self.cycles)))
        ends = [round((steps - climb) * length / lengths[-1]) for length in lengths]
        end = next(each for each in ends if done < each)
        begin = max((each for each in ends if each <= done), default=0)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * (done - begin) / (end - begin))) / 2
