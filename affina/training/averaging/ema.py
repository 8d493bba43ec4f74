"""An exponential moving average of the weights (Polyak and Juditsky, 1992; Tarvainen and Valpola, 2017)."""

from pydantic import Field

from affina.core.kinds import Averaging


class Ema(Averaging):
    """average ← decay · average + (1 - decay) · weights after each step; it begins at the weights after step 1."""

    decay: float = Field(0.999, ge=0, lt=1)
    """How much of the average stays at each step."""
    warmup: bool = True
    """Begin with a small decay, (1 + step) / (10 + step), until that is larger: a short run forgets where it began."""

    def share(self, step: int, steps: int) -> float:
        if step == 1:
            return 1.0
        return 1 - (min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay)
