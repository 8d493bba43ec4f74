"""A tag for every word: cross-entropy of a linear head at each word's first token."""

from typing import ClassVar

from affina.core.example import Tagged
from affina.core.kinds import Batch, Forward, Loss, Objective


class Tag(Objective):
    """-log p of the right tag, a mean over words (Devlin et al., 2019, §5.3)."""

    consumes: ClassVar = (Tagged,)
    head: ClassVar[str] = "tags"

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        import torch

        assert forward.scores_SL is not None, "this objective ends in tags"
        targets_S = torch.from_numpy(batch.targets_S).to(forward.scores_SL.device)
        nats_S = torch.nn.functional.cross_entropy(forward.scores_SL, targets_S, reduction="none")
        return Loss((nats_S * forward.weights_S).sum(), float(batch.weights_S.sum()))
