"""The peak rate after a linear warm-up."""

from affina.training.warmup import Falling


class Constant(Falling):
    """The peak rate throughout, after a linear warm-up."""

    def course(self, progress: float) -> float:
        return 1.0
