"""NEFTune (Jain et al., 2024): uniform noise on the input embeddings, the weaker the longer the row."""

import math
from typing import TYPE_CHECKING

from pydantic import Field

from affina.core.kinds import Noise

if TYPE_CHECKING:
    import torch


class Neftune(Noise):
    """Noise drawn evenly from [-1, 1], times alpha / √(L·D) for a row of L tokens of width D (NEFTune).

    L is the row's own length, however rows are packed. A prefix that rows share is drawn once, with the length of the
    longest row that goes on from it.
    """

    alpha: float = Field(5.0, gt=0)
    """Strength; the paper tries 5, 10 and 15."""

    def added(self, lengths: "torch.Tensor", width: int) -> "torch.Tensor":
        import torch

        drawn = torch.rand(*lengths.shape, width, device=lengths.device).mul_(2).sub_(1)
        return drawn.mul_((self.alpha / math.sqrt(width)) / lengths.to(drawn.dtype).sqrt()[..., None])
