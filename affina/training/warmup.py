"""What schedules share: a linear warm-up to the peak rate, then the schedule's own course."""

import math
from abc import abstractmethod

from pydantic import Field

from affina.core.kinds import Heard, Schedule


class Warmed(Schedule):
    """A schedule after a warm-up. Step 1 already moves: the rate at step s of w warm-up steps is s / w of the peak."""

    warmup: float = Field(0.05, ge=0, lt=1)
    """The share of all steps in which the rate climbs from zero to its peak."""

    def factor(self, step: int, steps: int, heard: Heard = ()) -> float:
        """The share of the peak rate at `step` of 1 … `steps`."""
        climb = self.climb(steps)
        if step <= climb:
            return step / climb
        return max(0.0, self.after(step, steps, [each for each in heard if climb < each[0] < step]))

    def climb(self, steps: int) -> int:
        """The number of warm-up steps."""
        return math.ceil(round(self.warmup * steps, 9))  # 0.07 · 100 is 7, in binary a little more

    @abstractmethod
    def after(self, step: int, steps: int, heard: Heard) -> float:
        """The share of the peak at a `step` after warm-up; `heard` is what was said since, before this step."""


class Falling(Warmed):
    """A schedule whose course after the warm-up depends on nothing but the share of the steps that is done."""

    def after(self, step: int, steps: int, heard: Heard) -> float:
        climb = self.climb(steps)
        return self.course((step - climb - 1) / max(1, steps - climb))

    @abstractmethod
    def course(self, progress: float) -> float:
        """The share of the peak at `progress` in [0, 1) of the steps after warm-up."""
