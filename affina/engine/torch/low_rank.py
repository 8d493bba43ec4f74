"""A frozen linear layer plus a trainable product of two thin matrices (LoRA, Hu et al., 2021), summed in float32."""

import math
from typing import Any

import torch
from torch import nn


class LowRank(nn.Module):
    """y = base(x) + scale · (dropout(x) Aᵀ) Bᵀ. A is [rank, in], drawn as PEFT draws it; B is [out, rank], zero.

    The sum is float32: in bf16 a fresh product lies below half a unit in the last place of y and would be rounded away.
    """

    def __init__(self, base: nn.Module, rank: int, scale: float, dropout: float) -> None:
        super().__init__()
        out, into = shape(base)
        place: Any = base.weight.device
        self.base, self.scale, self.dropout = base, scale, dropout
        self.lora_A = nn.Parameter(torch.empty(rank, into, device=place, dtype=torch.float32))
        self.lora_B = nn.Parameter(torch.zeros(out, rank, device=place, dtype=torch.float32))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    @property
    def weight(self) -> torch.Tensor:
        """The layer's own: T5 reads its dtype."""
        own: torch.Tensor = self.base.weight  # type: ignore[assignment]
        return own

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))  # once, for both products
        y = self.base(x)
        x = nn.functional.dropout(x, self.dropout, self.training) if self.dropout else x
        change = nn.functional.linear(nn.functional.linear(x, self.lora_A), self.lora_B)
        return torch.add(y.to(torch.promote_types(y.dtype, torch.float32)), change, alpha=self.scale)


def shape(layer: nn.Module) -> tuple[int, int]:
    """(out, in) of a linear layer; GPT-2's Conv1D keeps its weight transposed."""
    rows, columns = (int(size) for size in layer.weight.shape)  # type: ignore[union-attr]
    return (rows, columns) if isinstance(layer, nn.Linear) else (columns, rows)


def is_linear(layer: nn.Module) -> bool:
    """Whether a low-rank product can stand beside this layer."""
    return isinstance(layer, nn.Linear) or type(layer).__name__ == "Conv1D"
