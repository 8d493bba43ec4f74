"""Matrix products of layers that share an input, stacked into one; frozen bf16 weights laid out once for the processor.

Also the low-rank products beside them (LoRA), whose sums the kernels take in float32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from affina.engine.torch.fused.plain import Thin
from affina.engine.torch.low_rank import LowRank
from affina.engine.torch.packing import packable, packed, times

ROWS = 1024  # the number of rows that the processor's layout of a weight is chosen for


@dataclass(frozen=True, slots=True)
class Layer:
    """A linear layer, and the low-rank product beside it where there is one."""

    base: nn.Linear
    beside: LowRank | None

    @classmethod
    def of(cls, module: Any) -> "Layer | None":
        """None for a module that is neither a linear layer nor a low-rank one around it."""
        if type(module) is nn.Linear:
            return cls(module, None)
        if type(module) is LowRank and type(module.base) is nn.Linear:
            return cls(module.base, module)
        return None

    @property
    def rank(self) -> int:
        return 0 if self.beside is None else self.beside.lora_A.shape[0]


@dataclass(slots=True)
class Input:
    """What a stack's backward pass needs: the input, its thin product and the adapters as they were."""

    x: Tensor
    u: Tensor | None
    thins: tuple[Thin | None, ...]
    down: Tensor | None
    """[ΣR, K], in the products' dtype."""


class Stack:
    """Layers of one input as one product: y = x Wᵀ with W [ΣN, K], beside it u = x Aᵀ with A [ΣR, K]."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        self.sizes = [layer.base.weight.shape[0] for layer in layers]
        self.ranks = [layer.rank for layer in layers]
        self._key: tuple[Any, ...] = ()
        self._weight: Tensor | None = None
        self._packed: list[Tensor] | None = None
        """Laid out for x Wᵀ; then, from the first backward pass on, for dy W."""

    def parameters(self) -> Iterator[Tensor]:
        for layer in self.layers:
            yield from (each for each in (layer.base.weight, layer.base.bias) if each is not None)
            if layer.beside is not None:
                yield from (layer.beside.lora_A, layer.beside.lora_B)

    def bias(self, dtype: torch.dtype) -> Tensor | None:
        """[ΣN] in `dtype`, zero where a layer has none; None when none has one."""
        if all(layer.base.bias is None for layer in self.layers):
            return None
        parts = [
            layer.base.weight.new_zeros(size) if layer.base.bias is None else layer.base.bias.detach()
            for layer, size in zip(self.layers, self.sizes, strict=True)
        ]
        return torch.cat([part.to(dtype) for part in parts])

    def forward(self, x: Tensor) -> tuple[Tensor, Input]:
        """x [T, K] → y [T, ΣN] of the frozen weights, and what the sums and the backward pass need."""
        self._prepare(x.dtype)
        y = self._times(x, ahead=True)
        if not any(self.ranks):
            return y, Input(x, None, (None,) * len(self.layers), None)
        down = torch.cat([layer.beside.lora_A.detach() for layer in self.layers if layer.beside is not None]).to(
            x.dtype
        )
        u = x @ down.T
        wide, thins, start = torch.promote_types(x.dtype, torch.float32), list[Thin | None](), 0
        for layer, rank in zip(self.layers, self.ranks, strict=True):
            beside = layer.beside
            if beside is None:
                thins.append(None)
                continue
            up = (beside.lora_B.detach().to(wide).T * beside.scale).contiguous()
            thins.append(Thin(u[:, start : start + rank], up))
            start += rank
        return y, Input(x, u, tuple(thins), down)

    def backward(self, dy: Tensor, kept: Input) -> tuple[Tensor, Thin | None]:
        """dy [T, ΣN] → the gradient in x of the weights [T, K], and the low-rank part to be added to it."""
        return self._times(dy, ahead=False), self.thin(dy, kept)

    def thin(self, dy: Tensor, kept: Input) -> Thin | None:
        """The low-rank part of the gradient in x, as the product it is."""
        if kept.u is None or kept.down is None:
            return None
        v, start, column = torch.empty_like(kept.u), 0, 0
        for size, rank, thin in zip(self.sizes, self.ranks, kept.thins, strict=True):
            if thin is not None:
                torch.mm(dy[:, start : start + size], thin.b.T.to(dy.dtype), out=v[:, column : column + rank])
            start, column = start + size, column + rank
        return Thin(v, kept.down.to(torch.promote_types(v.dtype, torch.float32)))

    def learn(self, dy: Tensor, kept: Input, low: Thin | None, gradients: dict[Tensor, Tensor]) -> None:
        """Adds the gradients of whatever learns to `gradients`, with `low` as `backward` gave it."""
        start, column = 0, 0
        learnt = None if low is None else low.u.T @ kept.x
        whole = dy.T @ kept.x if any(layer.base.weight.requires_grad for layer in self.layers) else None
        for layer, size, rank, thin in zip(self.layers, self.sizes, self.ranks, kept.thins, strict=True):
            part = dy[:, start : start + size]
            if whole is not None and layer.base.weight.requires_grad:
                gradients[layer.base.weight] = whole[start : start + size]
            if layer.base.bias is not None and layer.base.bias.requires_grad:
                gradients[layer.base.bias] = part.sum(0, dtype=torch.promote_types(part.dtype, torch.float32))
            if layer.beside is not None and thin is not None and learnt is not None:
                gradients[layer.beside.lora_A] = learnt[column : column + rank]
                gradients[layer.beside.lora_B] = (part.T @ thin.u) * layer.beside.scale
            start, column = start + size, column + rank

    def _times(self, x: Tensor, ahead: bool) -> Tensor:
        if self._packed is not None:
            if not ahead and len(self._packed) == 1:
                self._packed.append(packed(self._stacked(x.dtype).T.contiguous(), ROWS))
            return times(x, self._packed[0 if ahead else 1])
        assert self._weight is not None
        return x @ (self._weight.T if ahead else self._weight)

    def _stacked(self, dtype: torch.dtype) -> Tensor:
        return torch.cat([layer.base.weight.detach().to(dtype) for layer in self.layers])

    def _prepare(self, dtype: torch.dtype) -> None:
        """Stacks the weights again when any of them is another tensor or another value than before."""
        weights = [layer.base.weight for layer in self.layers]
        if self._key == _key(weights, dtype):
            return
        stacked = self._stacked(dtype)
        learns = any(weight.requires_grad for weight in weights)
        if learns or not packable(stacked):
            self._weight, self._packed = stacked, None
            if not learns and weights[0].dtype == dtype:  # the stack is now where the weights live
                for weight, part in zip(weights, torch.split(stacked, self.sizes), strict=True):
                    weight.data = part
        else:
            self._weight, self._packed = None, [packed(stacked, ROWS)]
        self._key = _key(weights, dtype)


def _key(weights: Sequence[Tensor], dtype: torch.dtype) -> tuple[Any, ...]:
    return (dtype, *((weight.data_ptr(), weight._version, weight.requires_grad) for weight in weights))
