"""Matrix products of layers that share an input, stacked into one; frozen bf16 weights laid out once for the processor.

Also the low-rank products beside them (LoRA), whose sums the kernels take in float32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from affina.engine.torch import thin
from affina.engine.torch.dropped import Dropped
from affina.engine.torch.fused.plain import Thin
from affina.engine.torch.low_rank import LowRank, is_plain, shape
from affina.engine.torch.packing import Product, laid_out
from affina.engine.torch.steady import product
from affina.engine.torch.thin import Beside, Summed, Within

ROWS = 1024  # the number of rows that a weight's layout is chosen for


@dataclass(frozen=True, slots=True)
class Layer:
    """A linear layer, GPT-2's with its weight transposed too, and the low-rank product beside it where there is one."""

    base: Any
    beside: LowRank | None
    heads: int = 0
    """Of how many heads it gives queries, keys and values head by head (GPT-NeoX); 0: all of each together, as here."""

    @classmethod
    def of(cls, module: Any) -> "Layer | None":
        """None for a module that is neither a linear layer nor a low-rank one around it."""
        own, beside = (module.base, module) if type(module) is LowRank else (module, None)
        return cls(own, beside) if is_plain(own) else None

    @property
    def transposed(self) -> bool:
        return not isinstance(self.base, nn.Linear)

    @property
    def weight(self) -> Tensor:
        """[N, K]: the parameter's values; a view where their rows stand as here."""
        own: Tensor = self.base.weight.detach()
        return self.apart(own.T if self.transposed else own)

    def apart(self, rows: Tensor) -> Tensor:
        """[N, …] as the layer has them → all queries, then all keys, then all values."""
        return _turned(rows, self.heads, 3) if self.heads else rows

    def by_head(self, rows: Tensor) -> Tensor:
        """[N, …] as they stand here → as the layer has them."""
        return _turned(rows, 3, self.heads) if self.heads else rows

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)."""
        return shape(self.base)

    @property
    def rank(self) -> int:
        return 0 if self.beside is None else self.beside.lora_A.shape[0]


def _turned(rows: Tensor, first: int, second: int) -> Tensor:
    """[first · second · W, …], W of them after W → the same with `first` counting faster than `second`."""
    return rows.view(first, second, -1, *rows.shape[1:]).transpose(0, 1).reshape(rows.shape)


@dataclass(slots=True)
class Input:
    """What a stack's backward pass needs: the input, its thin product and the adapters as they were."""

    x: Tensor
    u: Tensor | None
    thins: tuple[Thin | None, ...]
    down: Tensor | None
    """[ΣR, K], float32 at least."""
    after: tuple[Thin | None, ...]
    """What the sums that follow have still to take: `thins`, or nothing where the product took them in."""
    dropped: Dropped | None = None
    """What the adapters see of the input; None: all of it."""


class Stack:
    """Layers of one input as one product: y = x Wᵀ with W [ΣN, K], beside it u = x Aᵀ with A [ΣR, K]. `parts`: the
    sizes of the parts that the sums after a single layer take its output in, low-rank product and all."""

    def __init__(self, layers: Sequence[Layer], parts: Sequence[int] = ()) -> None:
        self.layers = tuple(layers)
        self.sizes = [layer.shape[0] for layer in layers]
        self.parts = list(parts) or self.sizes
        self.ranks = [layer.rank for layer in layers]
        self._key: tuple[Any, ...] = ()
        self._ahead: Product | None = None
        self._back: Product | None = None
        """x Wᵀ and dy W; a layout for the second is made by the first backward pass."""

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
            layer.base.weight.new_zeros(size) if layer.base.bias is None else layer.apart(layer.base.bias.detach())
            for layer, size in zip(self.layers, self.sizes, strict=True)
        ]
        return torch.cat([part.to(dtype) for part in parts])

    @property
    def share(self) -> float:
        """How much of their input the adapters leave out now: one share for all, see `alike`."""
        beside = [each.beside for each in self.layers if each.beside is not None]
        return beside[0].dropout if beside and beside[0].training else 0.0

    @property
    def alike(self) -> bool:
        """Whether all adapters leave out the same share."""
        return len({each.beside.dropout for each in self.layers if each.beside is not None}) < 2

    def forward(self, x: Tensor, seed: int | None = None) -> tuple[Tensor, Input]:
        """x [T, K] → y [T, ΣN] of the frozen weights, and what the sums and the backward pass need. `seed`: of what the
        adapters leave out, the same numbers for all of them."""
        ahead = self.laid_ahead(x.dtype)
        if not any(self.ranks):
            none = (None,) * len(self.layers)
            return self._times(x, ahead), Input(x, None, none, None, (None,) * len(self.parts))
        wide, thins, start = torch.promote_types(x.dtype, torch.float32), list[Thin | None](), 0
        downs = [layer.beside.lora_A.detach().to(wide) for layer in self.layers if layer.beside is not None]
        down = downs[0] if len(downs) == 1 else torch.cat(downs)
        u = x.new_empty(len(x), len(down))
        for layer, rank in zip(self.layers, self.ranks, strict=True):
            beside = layer.beside
            if beside is None:
                thins.append(None)
                continue
            up = (layer.apart(beside.lora_B.detach()).to(wide).T * beside.scale).contiguous()
            thins.append(Thin(u[:, start : start + rank], up))
            start += rank
        within, column = list[Within](), 0
        for size, each in zip(self.sizes, thins, strict=True):
            if each is not None:
                within.append(Within(each.u, each.b, column))
            column += size
        taken = isinstance(ahead, thin.Wide) and self.within
        dropped = None if seed is None or not self.share else Dropped.of(seed, len(x), x.shape[1], self.share)
        low = [Beside(down, 0, u)]
        if dropped is not None:
            thin.times(dropped(x), low)
        y = self._times(x, ahead, low if dropped is None else (), within if taken else ())
        after = (None,) * len(self.parts) if taken else self._parted(thins)
        return y, Input(x, u, tuple(thins), down, after, dropped)

    def backward(self, dy: Tensor, kept: Input) -> tuple[Tensor, Thin | None, Thin | None]:
        """dy [T, ΣN] → the gradient in x [T, K], the low-rank part of it, and what of that is still to be added."""
        back = self.laid_back(dy.dtype)
        beside, low = self._beside(kept)
        if low is not None and kept.dropped is not None:
            thin.times(dy, beside)
            change = kept.dropped(low.u.to(low.b.dtype) @ low.b)
            return change.add_(self._times(dy, back)).to(dy.dtype), low, None
        taken = isinstance(back, thin.Wide) and self.within and low is not None
        within = [Within(low.u, low.b, 0)] if taken and low is not None else []
        return self._times(dy, back, beside, within), low, None if taken else low

    def _parted(self, thins: Sequence[Thin | None]) -> tuple[Thin | None, ...]:
        """What each part of the output has still to gain."""
        if self.parts == self.sizes or thins[0] is None:
            return (*thins,) if self.parts == self.sizes else (None,) * len(self.parts)
        return tuple(Thin(thins[0].u, each.contiguous()) for each in torch.split(thins[0].b, self.parts, 1))

    def laid_ahead(self, dtype: torch.dtype) -> Product:
        """x [T, K] → x Wᵀ, for the weights as they are now."""
        self._prepare(dtype)
        assert self._ahead is not None
        return self._ahead

    def laid_back(self, dtype: torch.dtype) -> Product:
        """dy [T, ΣN] → dy W: of weights that learn and are float32 as they are now, else as the last forward pass had
        them. An optimizer moves them after the backward pass."""
        if self._back is None:
            stacked = self._stacked(dtype)
            self._back = (
                thin.Wide(stacked, back=True) if thin.takes(stacked) else laid_out(stacked.T.contiguous(), ROWS)
            )
        assert self._back is not None
        return self._back

    def low(self, dy: Tensor, kept: Input) -> Thin | None:
        """The low-rank part of the gradient in x, as the product it is."""
        beside, low = self._beside(kept)
        thin.times(dy, beside)
        return low

    def _beside(self, kept: Input) -> tuple[list[Beside], Thin | None]:
        """What fills the low-rank part of the gradient in x from the gradient in y, and that part."""
        if kept.u is None or kept.down is None:
            return [], None
        v, wanted, start, column = torch.empty_like(kept.u), list[Beside](), 0, 0
        for size, rank, each in zip(self.sizes, self.ranks, kept.thins, strict=True):
            if each is not None:
                wanted.append(Beside(each.b, start, v[:, column : column + rank]))
            start, column = start + size, column + rank
        return wanted, Thin(v, kept.down)

    def learn(self, dy: Tensor, kept: Input, low: Thin | None, gradients: dict[Tensor, Tensor]) -> None:
        """Adds the gradients of whatever learns to `gradients`, with `low` as `backward` gave it."""
        whole = None
        if any(layer.base.weight.requires_grad for layer in self.layers):
            whole = thin.gradient(dy, kept.x)
        wanted, ups, start = list[Summed](), list[tuple[Layer, LowRank]](), 0
        for layer, size, each in zip(self.layers, self.sizes, kept.thins, strict=True):
            rows = dy[:, start : start + size]
            if whole is not None and layer.base.weight.requires_grad:
                part = layer.by_head(whole[start : start + size])
                gradients[layer.base.weight] = part.T if layer.transposed else part
            if layer.base.bias is not None and layer.base.bias.requires_grad:
                summed = rows.sum(0, dtype=torch.promote_types(rows.dtype, torch.float32))
                gradients[layer.base.bias] = layer.by_head(summed)
            if layer.beside is not None and each is not None:
                wanted.append(Summed(rows, each.u, layer.beside.scale))
                ups.append((layer, layer.beside))
            start += size
        if low is None:
            return
        seen = kept.x if kept.dropped is None else kept.dropped(kept.x)
        downs, *made = thin.sums([Summed(seen, low.u, across=True), *wanted])
        split = torch.split(downs, [*filter(None, self.ranks)])
        for (layer, beside), up, down in zip(ups, made, split, strict=True):
            gradients |= {beside.lora_A: down, beside.lora_B: layer.by_head(up)}

    @property
    def within(self) -> bool:
        """Whether a laid-out weight's products take the low-rank ones in."""
        return thin.takes_in(self.ranks, self.sizes)

    @property
    def calls_alone(self) -> bool:
        """Whether a pass at a call, which reads layers as they are, can take it: sums after it would have to cut a
        single layer's low-rank product."""
        return (self.parts == self.sizes or self.within) and not any(layer.heads for layer in self.layers)

    def _times(
        self, x: Tensor, product: Product, beside: Sequence[Beside] = (), within: Sequence[Within] = ()
    ) -> Tensor:
        """x times the weight, forward or backward, and what is taken beside it or into it."""
        if isinstance(product, thin.Wide):
            return product(x, beside, within)
        thin.times(x, beside)
        return product(x)

    def _stacked(self, dtype: torch.dtype) -> Tensor:
        weights = [layer.weight for layer in self.layers]
        stacked = weights[0].new_empty(sum(self.sizes), weights[0].shape[1], dtype=dtype)
        for weight, part in zip(weights, torch.split(stacked, self.sizes), strict=True):
            part.copy_(weight)
        return stacked

    def _prepare(self, dtype: torch.dtype) -> None:
        """Stacks the weights again when any of them is another tensor or another value than before."""
        weights = [layer.base.weight for layer in self.layers]
        if self._key == _key(weights, dtype):
            return
        learns = any(weight.requires_grad for weight in weights)
        plain = not any(layer.transposed or layer.heads for layer in self.layers)
        if learns and plain and dtype == torch.bfloat16 and thin.stacks(weights):
            # at each use: to keep it would take memory
            self._ahead, self._back = (
                lambda x: thin.Wide.stacked(weights)(x),
                lambda dy: thin.Wide.stacked(weights, back=True)(dy),
            )
        else:
            self._stack(dtype, learns, plain and weights[0].dtype == dtype)
        self._key = _key(weights, dtype)

    def _stack(self, dtype: torch.dtype, learns: bool, lives: bool) -> None:
        """Stacks them; where nothing learns and no layout is kept, the weights may live in the stack from then on."""
        stacked = self._stacked(dtype)
        self._ahead, self._back = None if learns else laid_out(stacked, ROWS), None
        if learns and thin.takes(stacked):
            self._ahead, self._back = (lambda x: thin.Wide(stacked)(x)), (lambda dy: thin.Wide(stacked, back=True)(dy))
        elif self._ahead is None:
            self._ahead, self._back = (lambda x: product(x, stacked.T)), (lambda dy: product(dy, stacked))
            if not learns and lives:
                for layer, part in zip(self.layers, torch.split(stacked, self.sizes), strict=True):
                    layer.base.weight.data = part


def _key(weights: Sequence[Tensor], dtype: torch.dtype) -> tuple[Any, ...]:
    return (dtype, *((weight.data_ptr(), weight._version, weight.requires_grad) for weight in weights))
