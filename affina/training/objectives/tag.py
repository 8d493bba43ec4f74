"""A tag for every word: cross-entropy of a linear head at each word's first token."""

from typing import ClassVar

from affina.core.example import Tagged
from affina.core.kinds import Batch, Forward, Loss
from affina.training.weighing import Shaped


class Tag(Shaped):
    """-log p of the right tag, a mean over words (Devlin et al., 2019, §5.3)."""

    consumes: ClassVar = (Tagged,)
    head: ClassVar[str] = "tags"

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        import torch

        assert forward.scores_SL is not None, "this objective ends in tags"
        targets_S = torch.from_numpy(batch.targets_S).to(forward.scores_SL.device)
        logprobs_SL = forward.scores_SL.log_softmax(-1)
        logprobs_S = logprobs_SL.gather(1, targets_S[:, None])[:, 0]
        nats_S = self.shaped(logprobs_S, logprobs_SL.mean(-1) if self.label_smoothing else None)
        return Loss((nats_S * forward.weights_S).sum(), float(batch.weights_S.sum()))
