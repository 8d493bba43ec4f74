"""The peak rate, less each time validation stops getting better, after a linear warm-up."""

from pydantic import Field

from affina.core.kinds import Heard
from affina.training.warmup import Warmed


class ReduceOnPlateau(Warmed):
    """Multiplies the rate by `shrink` whenever the monitored validation metric has stopped getting better.

    The rule of torch's and Keras' ReduceLROnPlateau, read from `evaluate.monitor` after warm-up. It acts only where
    `patience` is below `evaluate.patience`, at which training stops.
    """

    shrink: float = Field(0.5, gt=0, lt=1)
    """What the rate is multiplied by."""
    patience: int = Field(1, ge=1)
    """Validations in a row without improvement after which the rate falls; then it counts anew."""
    threshold: float = Field(1e-4, ge=0, lt=1)
    """The smallest improvement that counts, as a share of the best value's size."""
    floor: float = Field(0.001, gt=0, le=1)
    """The share of the peak rate below which it does not fall."""

    def after(self, step: int, steps: int, heard: Heard) -> float:
        share, best, without = 1.0, float("inf"), 0
        for _, value in heard:
            better = best == float("inf") or value < best - self.threshold * abs(best)
            best, without = (value, 0) if better else (best, without + 1)
            if without == self.patience:
                share, without = max(self.floor, share * self.shrink), 0
        return share
