"""Cross-entropy of a new label head on the text's representation: classification without words."""

from typing import ClassVar

from affina.core.example import Labelled
from affina.core.kinds import Batch, Forward, Loss, Objective


class Classify(Objective):
    """-log p of the right label under a linear head on the first (encoders) or last (decoders) token's hidden state."""

    consumes: ClassVar = (Labelled,)
    head: ClassVar[str] = "labels"

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        from torch.nn.functional import cross_entropy

        assert forward.scores_RL is not None, "this objective ends in labels"
        return Loss(cross_entropy(forward.scores_RL, forward.labels_R, reduction="sum"), float(len(batch.ids)))
