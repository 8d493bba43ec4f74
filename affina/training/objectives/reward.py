"""A reward model: the preferred of two answers is to score higher (Bradley & Terry, 1952)."""

from typing import ClassVar

from pydantic import Field

from affina.core.example import Pair
from affina.core.kinds import Batch, Forward, Loss, Objective


class Reward(Objective):
    """-log σ(score of the chosen - score of the rejected), a mean over pairs (Ouyang et al., 2022, eq. 1)."""

    consumes: ClassVar = (Pair,)
    head: ClassVar[str] = "margin"
    exclusive: ClassVar[bool] = False

    centre: float = Field(0.0, ge=0)
    """Times (sum of both scores)², which keeps scores near 0 (Eisenstein et al., 2024, who take 0.01)."""

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        from torch.nn.functional import logsigmoid

        assert forward.scores_RL is not None, "this objective ends in a score"
        scores_P2 = forward.scores_RL.view(-1, 2)  # a pair's rows are tied: chosen, rejected
        total = -logsigmoid(scores_P2[:, 0] - scores_P2[:, 1]).sum()
        if self.centre:
            total = total + self.centre * scores_P2.sum(1).square().sum()
        return Loss(total, float(len(scores_P2)), {"right": float((scores_P2[:, 0] > scores_P2[:, 1]).sum())})
