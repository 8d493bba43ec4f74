"""Stochastic weight averaging (SWA, Izmailov et al., 2018): the plain mean of the weights late in training."""

import math

from pydantic import Field

from affina.core.kinds import Averaging


class Swa(Averaging):
    """The mean of the weights at every so many steps of the last part of training (SWA); before it, the weights.

    The paper holds the rate high or cycles it meanwhile: `train.schedule` constant or cosine_restarts.
    """

    start: float = Field(0.75, ge=0, lt=1)
    """The share of the steps after which averaging begins."""
    every: int = Field(1, ge=1)
    """Steps between weights that are averaged."""

    def share(self, step: int, steps: int) -> float:
        since = step - max(1, math.ceil(self.start * steps))
        if since <= 0:
            return 1.0
        return 0.0 if since % self.every else 1 / (1 + since // self.every)
