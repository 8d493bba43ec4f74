"""Warm-up, a stable plateau, then a linear decay (MiniCPM, Hu et al., 2024)."""

from pydantic import Field

from affina.training.warmup import Falling


class Wsd(Falling):
    """Stays at the peak rate, then falls in a straight line over the last steps (MiniCPM, Hu et al., 2024)."""

    decay: float = Field(0.2, gt=0, le=1)
    """The share of the steps after warm-up in which the rate falls."""

    def course(self, progress: float) -> float:
        return min(1.0, (1.0 - progress) / self.decay)
