"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as torch implements it."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from affina.core.kinds import Optimizer
from affina.training.groups import groups

if TYPE_CHECKING:
    import torch


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019). Vectors (norms, biases) do not decay."""

    weight_decay: float = Field(0.0, ge=0)
    """Share of each matrix taken away per step, times the learning rate."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of the running mean of gradients."""
    beta2: float = Field(0.999, ge=0, lt=1)
    """Decay of the running mean of squared gradients."""
    epsilon: float = Field(1e-8, gt=0)
    """Keeps the division finite."""

    def build(
        self,
        parameters: "Mapping[str, torch.nn.Parameter]",
        scales: Mapping[str, float] | None = None,
        edges: Collection[str] = (),
    ) -> "torch.optim.Optimizer":
        import torch

        made = groups(parameters, scales, edges, self.weight_decay)
        return torch.optim.AdamW(made, lr=0.0, betas=(self.beta1, self.beta2), eps=self.epsilon, fused=True)
