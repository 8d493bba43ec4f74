"""A straight line from the peak rate to zero, after a linear warm-up."""

from affina.training.warmup import Falling


class Linear(Falling):
    """Falls in a straight line towards zero, due one step after the last: every step moves."""

    def course(self, progress: float) -> float:
        return 1.0 - progress
