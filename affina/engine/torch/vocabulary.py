"""Distributions over the vocabulary at the places of one forward pass, asked about and never held whole."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from affina.engine.torch.head import MOST_BYTES, TILE_BYTES, WordHead


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a head of words says of hidden states; differentiable in these and in a trainable weight.

    The head has no bias (see `WordHead.unbiased`). A tile of positions has all its logits at a time, which are
    computed again in backward.
    """

    head: WordHead
    hidden_SD: Tensor
    targets_S: Tensor

    def spread(self, logprobs_S: Tensor) -> Tensor:
        """[S] mean over the vocabulary of the log-probabilities, given those of the targets.

        Without a soft cap it is linear in the hidden state, as mean and target's logit are: no tile is computed.
        """
        if self.head.softcap is not None:
            return self._tiled(_spread, self)
        weight_VD, wide = self.head.weight_VD, self._wide
        away_SD = weight_VD.mean(0, dtype=wide) - weight_VD[self.targets_S].to(self.head.dtype).to(wide)
        return logprobs_S + (self.hidden_SD.to(self.head.dtype).to(wide) * away_SD).sum(-1) * self.head.scale

    def divergence(self, other: "Vocabulary") -> Tensor:
        """[S] (KL(p‖q) + KL(q‖p)) / 2 of the distributions of two forward passes at the same places."""
        return self._tiled(_divergence, self, other)

    def likeliest(self, count: int) -> Tensor:
        """[S, count] the tokens of the highest probabilities, the likeliest first."""
        return self._tiled(lambda p_BV: p_BV.topk(count).indices, self)

    @property
    def _wide(self) -> torch.dtype:
        return torch.promote_types(self.head.dtype, torch.float32)

    def _tiled(self, function: Callable[..., Tensor], *said: "Vocabulary") -> Tensor:
        """The function of the log-probabilities [B, V] of each of `said`, a tile of positions at a time."""
        weight_VD = self.head.weight_VD.to(self.head.dtype)
        bound = TILE_BYTES.get(weight_VD.device.type, MOST_BYTES)
        rows = max(1, bound // (len(weight_VD) * self._wide.itemsize))

        def tile(weight_VD: Tensor, *parts_BD: Tensor) -> Tensor:
            return function(*(self._logprobs(part_BD, weight_VD) for part_BD in parts_BD))

        parts = [torch.split(each.hidden_SD, rows) for each in said]
        found = [
            checkpoint(tile, weight_VD, *parts_BD, use_reentrant=False, preserve_rng_state=False)
            for parts_BD in zip(*parts, strict=True)
        ]
        return torch.cat(found)

    def _logprobs(self, hidden_BD: Tensor, weight_VD: Tensor) -> Tensor:
        logits_BV = (hidden_BD.to(self.head.dtype) @ weight_VD.T).to(self._wide) * self.head.scale
        if self.head.softcap is not None:
            logits_BV = torch.tanh(logits_BV / self.head.softcap) * self.head.softcap
        return logits_BV.log_softmax(-1)


def _spread(p_BV: Tensor) -> Tensor:
    return p_BV.mean(-1)


def _divergence(p_BV: Tensor, q_BV: Tensor) -> Tensor:
    """What normalises p and q cancels in Σ (p - q)(log p - log q)."""
    return ((p_BV.exp() - q_BV.exp()) * (p_BV - q_BV)).sum(-1) / 2
