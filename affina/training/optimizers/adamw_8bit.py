"""AdamW with moments of 8 bits: block-wise dynamic quantisation (Dettmers et al., 2022)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from affina.training.ruled import Ruled

if TYPE_CHECKING:
    from torch import Tensor

MOMENTS = {"exp_avg": True, "exp_avg_sq": False}  # whether they have a sign


class AdamW8bit(Ruled):
    """AdamW whose moments are kept in 8 bits by the dynamic tree, in blocks of 256 (Dettmers et al., 2022).

    2.03 bytes of state a number, not 8; a step is computed in float32. A tensor of its own is widened at a time.
    """

    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of the running mean of gradients."""
    beta2: float = Field(0.999, ge=0, lt=1)
    """Decay of the running mean of squared gradients."""
    epsilon: float = Field(1e-8, gt=0)
    """Keeps the division finite."""
    small: int = Field(4096, ge=0)
    """Tensors of fewer numbers keep float32 moments."""

    def begin(self, parameter: "Tensor", group: Mapping[str, Any]) -> "dict[str, Tensor]":
        import torch

        from affina.training.adam import counter, moments
        from affina.training.blockwise import blocks

        if parameter.numel() < self.small:
            return moments(parameter)
        state = {"step": counter(parameter)}
        for name in MOMENTS:
            state[name] = torch.zeros(parameter.shape, dtype=torch.uint8, device=parameter.device)
            state[f"{name}_scale"] = torch.zeros(blocks(parameter.numel()), device=parameter.device)
        return state

    def update(
        self, parameter: "Tensor", gradient: "Tensor", state: "dict[str, Tensor]", group: Mapping[str, Any]
    ) -> None:
        from affina.training.adam import direction, shrunk
        from affina.training.blockwise import quantised, restored

        narrow = "exp_avg_scale" in state
        wide = {"step": state["step"]} if narrow else state
        if narrow:
            wide |= {name: restored(state[name], state[f"{name}_scale"], sign) for name, sign in MOMENTS.items()}
        change = direction(gradient, wide, (self.beta1, self.beta2), self.epsilon)
        shrunk(parameter, group)
        parameter.add_(change, alpha=-group["lr"])
        for name, sign in MOMENTS.items() if narrow else ():
            codes, scales = quantised(wide[name], sign)
            state[name].copy_(codes)
            state[f"{name}_scale"].copy_(scales)
