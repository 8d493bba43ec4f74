"""A number for every text: squared error, or Huber's where outliers would rule."""

from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import ClassVar

from pydantic import Field

from affina.core.example import Example, Rated
from affina.core.kinds import Batch, Forward, Loss, Measure, Objective


class Regression(Objective):
    """Half the squared error of a linear head, a mean over texts; beyond `huber` it grows linearly (Huber, 1964)."""

    consumes: ClassVar = (Rated,)
    head: ClassVar[str] = "score"
    exclusive: ClassVar[bool] = False

    huber: float | None = Field(None, gt=0)
    """The error from which on the loss is linear, in the number's own units; none: squared everywhere."""

    def measure(self, examples: Sequence[Example]) -> Measure:
        """Mean and standard deviation of the numbers, which may be years as well as prices."""
        values = [each.value for each in examples if isinstance(each, Rated)]
        return Measure(fmean(values), pstdev(values) or 1.0) if values else Measure()

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        from torch.nn.functional import huber_loss, mse_loss

        from affina.training.goals import goals_of

        assert forward.scores_RL is not None, "this objective ends in a score"
        goals_RL = goals_of(batch, forward.scores_RL)
        if self.huber is None:
            total = mse_loss(forward.scores_RL, goals_RL, reduction="sum") / 2
        else:
            total = huber_loss(forward.scores_RL, goals_RL, reduction="sum", delta=self.huber)
        return Loss(total, float(len(batch.ids)))
