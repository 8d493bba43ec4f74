"""Several labels at once: a yes or no of its own for each label."""

from typing import ClassVar

from affina.core.example import MultiLabelled
from affina.core.kinds import Batch, Forward, Loss, Objective


class MultiLabel(Objective):
    """Σ over labels of the binary cross-entropy of a linear head's score, a mean over texts."""

    consumes: ClassVar = (MultiLabelled,)
    head: ClassVar[str] = "labels"
    exclusive: ClassVar[bool] = False

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        from torch.nn.functional import binary_cross_entropy_with_logits

        from affina.training.goals import goals_of

        assert forward.scores_RL is not None, "this objective ends in labels"
        goals_RL = goals_of(batch, forward.scores_RL)
        total = binary_cross_entropy_with_logits(forward.scores_RL, goals_RL, reduction="sum")
        return Loss(total, float(len(batch.ids)))
