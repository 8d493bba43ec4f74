"""Bottleneck adapters: a narrow two-layer network whose output is added after, or beside, a sub-layer of a block.

Sums are float32, as those of low-rank products are (`low_rank.py`). A block with one runs the library's forward.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": nn.functional.relu,
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
}


class Bottleneck(nn.Module):
    """x → scale · (dropout(act(x Dᵀ + d)) Uᵀ + u); D is [size, width], drawn as a low-rank A is; U and u are zero."""

    def __init__(self, width: int, size: int, scale: float, activation: str, dropout: float) -> None:
        super().__init__()
        self.scale, self.activation, self.dropout = scale, activation, dropout
        self.down = nn.Linear(width, size, dtype=torch.float32)
        self.up = nn.Linear(size, width, dtype=torch.float32)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        for each in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(each)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.down.weight.dtype)
        inner = ACTIVATIONS[self.activation](self.down(x))
        inner = nn.functional.dropout(inner, self.dropout, self.training) if self.dropout else inner
        change: torch.Tensor = self.scale * wide(self.up(inner))
        return change


class After(nn.Module):
    """A linear layer that ends a sub-layer, and the bottleneck that reads and is added to what it gives."""

    def __init__(self, base: nn.Module, adapter: Bottleneck) -> None:
        super().__init__()
        self.base, self.adapter = base, adapter

    @property
    def weight(self) -> torch.Tensor:
        """The layer's own: T5 reads its dtype."""
        own: torch.Tensor = self.base.weight  # type: ignore[assignment]
        return own

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.base(x)
        made: torch.Tensor = wide(y) + self.adapter(y)
        return made


class Beside(After):
    """A linear layer that ends a sub-layer, and the bottleneck that reads what came to that sub-layer's `first`."""

    def __init__(self, base: nn.Module, adapter: Bottleneck, first: nn.Module) -> None:
        super().__init__(base, adapter)
        self._given: torch.Tensor | None = None
        first.register_forward_pre_hook(self._note)

    def _note(self, first: nn.Module, given: Any) -> None:
        self._given = given[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert self._given is not None, "the sub-layer's first layer runs before its last one"
        change = self.adapter(self._given)
        self._given = None
        made: torch.Tensor = wide(self.base(x)) + change
        return made


class InNorm(nn.Module):
    """The norm that ends a post-norm block, and the bottleneck that reads its output and is added to its input."""

    def __init__(self, base: nn.Module, adapter: Bottleneck) -> None:
        super().__init__()
        self.base, self.adapter = base, adapter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.base(wide(x) + self.adapter(self.base(x)))
        return made


def after_block(block: nn.Module, adapter: Bottleneck) -> None:
    """The bottleneck reads the residual stream that the block hands on and is added to it; it is the block's own."""
    block.add_module("adapter", adapter)
    block.register_forward_hook(_added)


def _added(block: Any, given: Any, out: Any) -> Any:
    if isinstance(out, tuple):
        return (_added(block, given, out[0]), *out[1:])
    return wide(out) + block.adapter(out)


def wide(y: torch.Tensor) -> torch.Tensor:
    """At least float32."""
    return y.to(torch.promote_types(y.dtype, torch.float32))
