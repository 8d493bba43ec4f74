"""A frozen linear layer plus a trainable product of two thin matrices (LoRA, Hu et al., 2021), summed in float32."""

import math
from typing import Any

import torch
from torch import nn

from affina.engine.torch.quantised import Quantised


class LowRank(nn.Module):
    """y = base(x) + scale · (dropout(x) Aᵀ) Bᵀ. A is [rank, in], drawn as PEFT draws it; B is [out, rank], zero.

    The sum is float32 and, where products are narrower, the large one takes the thin one in before it is rounded: what
    a young adapter adds lies below half a unit in the last place of a rounded y, and values are handed on rounded.
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
        dropped = nn.functional.dropout(x, self.dropout, self.training) if self.dropout else x
        change = nn.functional.linear(nn.functional.linear(dropped, self.lora_A), self.lora_B)
        if x.dtype.itemsize < 4 and _is_bare(self.base):
            y = self._within(x, change)
            bias: Any = self.base.bias
            return y.to(torch.float32) if bias is None else y + bias.to(torch.float32)
        y = self.base(x)
        return torch.add(y.to(torch.promote_types(y.dtype, torch.float32)), change, alpha=self.scale)

    def _within(self, x: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        """x Wᵀ + scale · change, rounded once."""
        base: Any = self.base
        weight = base.weight.T if isinstance(base, nn.Linear) else base.weight
        y = torch.addmm(change.flatten(0, -2), x.flatten(0, -2), weight, beta=self.scale)
        return y.view(change.shape)

    def merged(self) -> torch.Tensor:
        """[out, in], float32 at least: the weight of the linear layer that answers like this one."""
        base: Any = self.base
        weight = base.weight.detach() if isinstance(base, (nn.Linear, Quantised)) else base.weight.detach().T
        wide = torch.promote_types(self.lora_B.dtype, torch.float32)
        return weight.to(wide) + self.scale * (self.lora_B.detach().to(wide) @ self.lora_A.detach().to(wide))

    def folded(self) -> nn.Module:
        """The linear layer that answers like this one, in the base's own dtype."""
        merged = self.merged().to(self.weight.dtype)
        self.weight.data = merged if isinstance(self.base, nn.Linear) else merged.T.contiguous()
        return self.base


class Decomposed(LowRank):
    """Weight-decomposed (DoRA, Liu et al., 2024): each row of base + low-rank keeps a length of its own that trains.

    y = m / ‖W + scale · B A‖ · (W + scale · B A) x + bias, the norm of each row taken as a constant in backward (§4.3).
    Dropout falls on the low-rank product alone, where PEFT's falls on W's part too.
    """

    def __init__(self, base: nn.Module, rank: int, scale: float, dropout: float) -> None:
        super().__init__(base, rank, scale, dropout)
        self.lora_magnitude_vector = nn.Parameter(_lengths(super().merged()).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        y, bias = self.base(x), self.base.bias
        y = y.to(torch.promote_types(y.dtype, torch.float32))
        length = (self.lora_magnitude_vector / _lengths(super().merged())).to(y.dtype)
        dropped = nn.functional.dropout(x, self.dropout, self.training) if self.dropout else x
        change = nn.functional.linear(nn.functional.linear(dropped, self.lora_A), self.lora_B)
        # y itself where the length is as it was: a fresh adapter changes no bit
        own = y if bias is None else y - bias
        made: torch.Tensor = torch.addcmul(y, length - 1, own) + length * change * self.scale
        return made

    def merged(self) -> torch.Tensor:
        weight = super().merged()
        length = self.lora_magnitude_vector.detach().to(weight.dtype) / _lengths(weight)
        made: torch.Tensor = weight * length[:, None]
        return made


def _lengths(weight: torch.Tensor) -> torch.Tensor:
    """[out]: the rows' norms; a row of zeros counts as the smallest, and answers 0 instead of a division by it."""
    found: torch.Tensor = torch.linalg.vector_norm(weight, dim=1).clamp_min(torch.finfo(weight.dtype).tiny)
    return found


def shape(layer: nn.Module) -> tuple[int, int]:
    """(out, in) of a linear layer; GPT-2's Conv1D keeps its weight transposed."""
    if isinstance(layer, Quantised):
        return layer.shape[0], layer.shape[1]
    rows, columns = (int(size) for size in layer.weight.shape)  # type: ignore[union-attr]
    return (rows, columns) if isinstance(layer, nn.Linear) else (columns, rows)


def is_linear(layer: nn.Module) -> bool:
    """Whether a low-rank product can stand beside this layer."""
    return isinstance(layer, nn.Linear) or type(layer).__name__ == "Conv1D"


def is_plain(layer: nn.Module) -> bool:
    """Whether its class computes x Wᵀ + b and nothing else: one derived from a linear layer's may compute anything."""
    return type(layer) is nn.Linear or type(layer).__name__ == "Conv1D"


def _is_bare(layer: nn.Module) -> bool:
    """Whether the layer does: its class's own `forward`, no hook."""
    hooked = layer._forward_hooks or layer._forward_pre_hooks
    return is_plain(layer) and "forward" not in vars(layer) and not hooked


def fold(model: nn.Module, kind: type[nn.Module]) -> None:
    """Puts the `folded` layer in the place of every module of this kind."""
    for name, each in [*model.named_modules()]:
        if isinstance(each, kind):
            model.set_submodule(name, each.folded())  # type: ignore[operator]
