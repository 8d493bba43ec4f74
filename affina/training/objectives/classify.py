"""Cross-entropy of a new label head on the text's representation: classification without words."""

from typing import ClassVar

from affina.core.example import Labelled
from affina.core.kinds import Batch, Forward, Loss
from affina.training.weighing import Weighing


class Classify(Weighing):
    """-log p of the right label under a linear head on the first (encoders) or last (decoders) token's hidden state."""

    consumes: ClassVar = (Labelled,)
    head: ClassVar[str] = "labels"

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        assert forward.scores_RL is not None, "this objective ends in labels"
        logprobs_RL = forward.scores_RL.log_softmax(-1)
        logprobs_R = logprobs_RL.gather(1, forward.labels_R[:, None])[:, 0]
        weights_R = logprobs_R.new_tensor([row.weight for row in batch.rows])
        nats_R = self.shaped(logprobs_R, logprobs_RL.mean(-1) if self.label_smoothing else None)
        return self.summed(nats_R, weights_R, sum(row.weight for row in batch.rows), forward, batch)
