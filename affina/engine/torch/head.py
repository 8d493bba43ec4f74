"""Log-probabilities of given targets, chunk by chunk: nobody ever holds [positions x vocabulary]."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

CHUNK_BYTES = 64 << 20  # of float32 logits at a time


@dataclass(frozen=True, slots=True)
class WordHead:
    """The output embedding and what a family does to its logits: times `scale`, then softcap·tanh(·/softcap).

    Products are computed in `dtype`; the soft maximum and the sums in float32 (float64 where `dtype` is).
    """

    weight_VD: torch.Tensor
    dtype: torch.dtype
    scale: float = 1.0
    softcap: float | None = None

    def logprobs(self, hidden_SD: torch.Tensor, targets_S: torch.Tensor) -> torch.Tensor:
        """[S] log-probabilities, differentiable in the hidden states and in a trainable weight."""
        shape = (self.dtype, self.scale, self.softcap)
        result: torch.Tensor = _Logprobs.apply(hidden_SD, self.weight_VD, targets_S, *shape)  # type: ignore[no-untyped-call]
        return result


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A head ready for products: the weight already in the dtype of the products."""

    weight_VD: torch.Tensor
    scale: float
    softcap: float | None

    @property
    def size(self) -> int:
        """Positions per chunk."""
        return max(1, CHUNK_BYTES // (4 * self.weight_VD.shape[0]))

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        raw = hidden.to(self.weight_VD.dtype) @ self.weight_VD.T
        logits = raw.to(torch.promote_types(raw.dtype, torch.float32)) * self.scale
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap

    def slope(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """d logprob / d (hidden · weightᵀ)."""
        bend = self.scale if self.softcap is None else (1 - (logits / self.softcap) ** 2) * self.scale
        slope = logits.softmax(-1).neg_()
        slope[torch.arange(len(targets), device=targets.device), targets] += 1
        return slope.mul_(bend)


class _Logprobs(torch.autograd.Function):
    """A frozen head keeps d logprob / d hidden from the forward pass; a trainable one is recomputed in backward."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_SD: torch.Tensor,
        weight_VD: torch.Tensor,
        targets_S: torch.Tensor,
        dtype: torch.dtype,
        *shape: float | None,
    ) -> torch.Tensor:
        head = _Chunk(weight_VD.to(dtype), *shape)  # type: ignore[arg-type]
        learns, frozen = ctx.needs_input_grad[0], not ctx.needs_input_grad[1]
        logprobs = hidden_SD.new_empty(len(targets_S), dtype=torch.promote_types(dtype, torch.float32))
        slopes = torch.empty_like(hidden_SD) if learns and frozen else hidden_SD.new_empty(0)
        for start in range(0, len(targets_S), head.size):
            part = slice(start, start + head.size)
            logits, targets = head.logits(hidden_SD[part]), targets_S[part]
            logprobs[part] = logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(-1)
            if learns and frozen:
                slopes[part] = head.slope(logits, targets).to(dtype) @ head.weight_VD
        ctx.dtype, ctx.shape, ctx.frozen = dtype, shape, frozen
        ctx.save_for_backward(slopes if frozen else hidden_SD, weight_VD, targets_S)
        return logprobs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_S: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        kept, weight_VD, targets_S = ctx.saved_tensors
        if ctx.frozen:
            return kept * grad_S[:, None].to(kept.dtype), None, None, None, None, None
        head = _Chunk(weight_VD.to(ctx.dtype), *ctx.shape)
        grad_hidden = torch.empty_like(kept)
        grad_weight = torch.zeros_like(weight_VD)
        for start in range(0, len(targets_S), head.size):
            part = slice(start, start + head.size)
            slope = head.slope(head.logits(kept[part]), targets_S[part]) * grad_S[part, None]
            grad_hidden[part] = slope.to(ctx.dtype) @ head.weight_VD
            grad_weight += slope.to(ctx.dtype).T @ kept[part].to(ctx.dtype)
        return grad_hidden, grad_weight, None, None, None, None
