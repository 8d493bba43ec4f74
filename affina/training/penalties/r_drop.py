"""R-Drop (Liang et al., 2021): two draws of dropout shall predict alike."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from affina.core.kinds import Batch, Forward, Objective, Penalty

if TYPE_CHECKING:
    import torch

HEADS = ("words", "labels", "tags")


class RDrop(Penalty):
    """alpha · (KL(p‖q) + KL(q‖p)) / 2 of two draws of each prediction, weighed and divided as its loss is (R-Drop).

    p and q are whole distributions: over the labels, or over the vocabulary at each supervised token. The objective's
    loss is the mean of the two draws'; the paper adds them up, so that its alpha is twice this one.
    """

    draws: ClassVar[int] = 2

    alpha: float = Field(1.0, gt=0)
    """Strength."""

    def objection(self, objective: Objective) -> str:
        if objective.head not in HEADS or not objective.exclusive:
            return f"the objective {objective.name} predicts no distribution over labels or words"
        return ""

    def of_draws(self, draws: Sequence[Forward], batch: Batch) -> "torch.Tensor | None":
        first, second = draws
        if first.words is not None and second.words is not None:
            return self.alpha * (first.words.divergence(second.words) * first.weights_S).sum()
        if first.scores_SL is not None and second.scores_SL is not None:
            return self.alpha * (_divergence(first.scores_SL, second.scores_SL) * first.weights_S).sum()
        assert first.scores_RL is not None and second.scores_RL is not None, "there was an objection to other heads"
        weights_R = first.scores_RL.new_tensor([row.weight for row in batch.rows])
        return self.alpha * (_divergence(first.scores_RL, second.scores_RL) * weights_R).sum()


def _divergence(a: "torch.Tensor", b: "torch.Tensor") -> "torch.Tensor":
    """(KL(p‖q) + KL(q‖p)) / 2 along the last axis, p and q being the soft maxima."""
    p, q = a.log_softmax(-1), b.log_softmax(-1)
    return ((p.exp() - q.exp()) * (p - q)).sum(-1) / 2
