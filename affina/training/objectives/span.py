"""The answer as a passage of the context: where it begins and where it ends, each a choice among the row's places."""

from typing import ClassVar

from affina.core.example import Question
from affina.core.kinds import Batch, Forward, Loss, Objective
from affina.data.passages import END, START


class Span(Objective):
    """Half of -log p of the first place and half of the last's, a mean over rows (Devlin et al., 2019, §4.2)."""

    consumes: ClassVar = (Question,)
    head: ClassVar[str] = "span"

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        import torch

        assert forward.scores_SL is not None, "this objective ends in spans"
        said_S = torch.from_numpy(batch.targets_S).to(forward.scores_SL.device)
        total = 0 * forward.scores_SL.sum()
        for row in range(len(batch.ids)):
            mine_S = forward.owners_S == row
            logs_S2 = forward.scores_SL[mine_S].log_softmax(0)
            for side, mark in enumerate((START, END)):
                right_S = (said_S[mine_S] & mark) > 0
                if right_S.any():
                    total = total - logs_S2[right_S, side].sum() / 2
        return Loss(total, float(len(batch.ids)))
