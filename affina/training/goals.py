"""The goals of a batch's rows as a tensor beside the scores."""

from typing import TYPE_CHECKING

import numpy as np

from affina.core.kinds import Batch

if TYPE_CHECKING:
    import torch


def goals_of(batch: Batch, beside: "torch.Tensor") -> "torch.Tensor":
    """[R, G] in the dtype and on the device of `beside`."""
    import torch

    goals = [row.goals for row in batch.rows if row.goals is not None]
    return torch.from_numpy(np.stack(goals)).to(beside)
