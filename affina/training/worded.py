"""What objectives share that end in words: the loss over the supervised tokens."""

from affina.core.kinds import Batch, Forward, Loss
from affina.training.weighing import Shaped


class Worded(Shaped):
    """Mean of -log p of the supervised tokens, by their weights; smoothed and focused as asked."""

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        assert forward.logprobs_S is not None, "this objective ends in words"
        logprobs_S, spread_S = forward.logprobs_S, None
        if self.label_smoothing:
            assert forward.words is not None, "an engine gives the distributions with the log-probabilities"
            spread_S = forward.words.spread(logprobs_S)
        nats_S, count = self.shaped(logprobs_S, spread_S), float(batch.weights_S.sum())
        return self.summed(nats_S, forward.weights_S, count, forward, batch)
