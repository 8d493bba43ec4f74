"""Muon: hidden matrices step along the nearest orthogonal matrix (Jordan et al., 2024), all else by AdamW."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from affina.training.ruled import Ruled

if TYPE_CHECKING:
    from torch import Tensor

QUINTIC = 3.4445, -4.7750, 2.0315  # of x, x³, x⁵: the steepest at 0 that keeps singular values near 1


class Muon(Ruled):
    """Momentum made nearly orthogonal by Newton–Schulz for hidden matrices (Jordan et al., 2024); AdamW for the rest.

    The rest: embedding tables, heads, vectors, and tensors of three axes or more.
    """

    momentum: float = Field(0.95, ge=0, lt=1)
    """Decay of the running mean of a hidden matrix's gradients."""
    nesterov: bool = True
    """Step along the mean as it will be with this gradient once more."""
    iterations: int = Field(5, ge=1, lt=100)
    """Newton–Schulz iterations, in bf16."""
    scaling: Literal["adamw", "original"] = "adamw"
    """`adamw`: changes the size of AdamW's, 0.2 √max(n, m) (Liu et al., 2025), so that one learning rate serves all;
    `original`: √max(1, n / m) (Jordan et al., 2024)."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """AdamW's decay of the running mean of gradients."""
    beta2: float = Field(0.999, ge=0, lt=1)
    """AdamW's decay of the running mean of squared gradients."""
    epsilon: float = Field(1e-8, gt=0)
    """Keeps AdamW's division finite."""

    def begin(self, parameter: "Tensor", group: Mapping[str, Any]) -> "dict[str, Tensor]":
        import torch

        from affina.training.adam import moments

        if not group["hidden"]:
            return moments(parameter)
        return {"momentum_buffer": torch.zeros_like(parameter, dtype=torch.float32)}

    def update(
        self, parameter: "Tensor", gradient: "Tensor", state: "dict[str, Tensor]", group: Mapping[str, Any]
    ) -> None:
        from affina.training.adam import direction, shrunk

        if group["hidden"]:
            mean = state["momentum_buffer"].lerp_(gradient, 1 - self.momentum)
            ahead = gradient.lerp(mean, self.momentum) if self.nesterov else mean
            change, size = orthogonal(ahead, self.iterations), self._size(*parameter.shape)
        else:
            change, size = direction(gradient, state, (self.beta1, self.beta2), self.epsilon), 1.0
        shrunk(parameter, group)
        parameter.add_(change, alpha=-group["lr"] * size)

    def _size(self, rows: int, columns: int) -> float:
        if self.scaling == "adamw":
            return 0.2 * math.sqrt(max(rows, columns))
        return math.sqrt(max(1, rows / columns))


def orthogonal(matrix: "Tensor", iterations: int) -> "Tensor":
    """U Vᵀ of a matrix U S Vᵀ, nearly: its singular values come to lie around 1. In bf16; nought stays nought."""
    import torch

    narrow = matrix.bfloat16()
    wide: Tensor = narrow.T if matrix.shape[0] > matrix.shape[1] else narrow
    wide = wide / wide.norm().clamp(min=1e-7)
    linear, cubic, quintic = QUINTIC
    for _ in range(iterations):
        square = wide @ wide.T
        inner = torch.addmm(square, square, square, beta=cubic, alpha=quintic)
        wide = torch.addmm(wide, inner, wide, beta=linear)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
