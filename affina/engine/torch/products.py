"""A network's linear layers made ready for thin products: adapters merged, bf16 weights laid out for the processor.

Nothing of the network changes: inside `Products.used` its layers answer with copies of their weights.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from affina.engine.torch.load import Network
from affina.engine.torch.low_rank import LowRank, is_linear
from affina.engine.torch.packing import Product, laid_out
from affina.engine.torch.quantised import Quantised

ROWS = 8  # the number of rows that the processor's layout of a weight is chosen for
KEPT = 0.9  # of a low-rank change that rounding the sum to bf16 must leave, or the layer stays unmerged


class Products:
    """Every module by its class's own `forward`; with `copies`, linear layers by copies of their weights instead."""

    @torch.no_grad()
    def __init__(self, network: Network, copies: bool) -> None:
        self._own = [module for module in network.modules() if "forward" in vars(module)]
        self._made: list[tuple[nn.Module, Product]] = []
        done: set[nn.Module] = set()
        for module in network.body.modules() if copies else ():
            linear = isinstance(module, LowRank) or is_linear(module)
            if linear and module not in done and (weight := whole(module, network.dtype)) is not None:
                self._made.append((module, product(weight, _bias(module))))
                done.update(module.modules())

    @contextmanager
    def used(self) -> Iterator[None]:
        """What stands in a module's place is put back afterwards."""
        held = [(module, vars(module).pop("forward")) for module in self._own]
        for module, made in self._made:
            vars(module)["forward"] = made
        try:
            yield
        finally:
            for module, _ in self._made:
                del vars(module)["forward"]
            for module, forward in held:
                vars(module)["forward"] = forward


def product(weight_OI: Tensor, bias_O: Tensor | None = None) -> Product:
    """x [..., I] → x Wᵀ + b [..., O], in the weight's dtype."""
    dtype, bias = weight_OI.dtype, None if bias_O is None else bias_O.to(weight_OI.dtype)
    times = laid_out(weight_OI, ROWS)
    if times is None:
        return lambda x: nn.functional.linear(x.to(dtype), weight_OI, bias)
    return lambda x: times(x.to(dtype)) if bias is None else times(x.to(dtype)).add_(bias)


def stacked(layers: Sequence[Any], dtype: torch.dtype) -> tuple[Product, list[int]] | None:
    """One product for layers of the same input, and how many outputs each has; None where one cannot be merged."""
    weights = [weight for layer in layers if (weight := whole(layer, dtype)) is not None]
    if len(weights) < len(layers):
        return None
    biases = [_bias(layer) for layer in layers]
    if all(bias is None for bias in biases):
        return product(torch.cat(weights)), [len(weight) for weight in weights]
    filled = [
        weight.new_zeros(len(weight)) if bias is None else bias for weight, bias in zip(weights, biases, strict=True)
    ]
    return product(torch.cat(weights), torch.cat([bias.to(dtype) for bias in filled])), [len(each) for each in weights]


def whole(layer: Any, dtype: torch.dtype) -> Tensor | None:
    """[out, in] in `dtype`: a linear layer's weight, an adapter merged into it; None for another module, a quantised
    layer, or where rounding would lose the change.

    A frozen weight is on bf16's grid already: of a change below half its unit in the last place nothing would be left.
    Measured as the share of the change, along itself, that the rounded sum holds.
    """
    if not isinstance(layer, LowRank) and not is_linear(layer):
        return None
    base: Any = layer.base if isinstance(layer, LowRank) else layer
    if isinstance(base, Quantised):
        return None  # a copy of the whole weight would take the memory that its few bits save
    weight: Tensor = base.weight.detach() if isinstance(base, nn.Linear) else base.weight.detach().T.contiguous()
    if not isinstance(layer, LowRank):
        return weight.to(dtype)
    wanted = layer.merged()
    change, merged = wanted - weight, wanted.to(dtype)
    kept = ((merged.to(change.dtype) - weight.to(change.dtype)) * change).sum()
    return None if kept < KEPT * change.square().sum() else merged


def _bias(layer: Any) -> Tensor | None:
    base: Any = layer.base if isinstance(layer, LowRank) else layer
    return None if base.bias is None else base.bias.detach()
