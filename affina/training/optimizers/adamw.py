"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as torch implements it."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from affina.training.groups import Grouped

if TYPE_CHECKING:
    import torch


class AdamW(Grouped):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019). Vectors (norms, biases) do not decay."""

    weight_decay: float = Field(0.0, ge=0)
    """Share of each matrix taken away per step, times the learning rate."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of the running mean of gradients."""
    beta2: float = Field(0.999, ge=0, lt=1)
    """Decay of the running mean of squared gradients."""
    epsilon: float = Field(1e-8, gt=0)
    """Keeps the division finite."""

    def over(self, made: list[dict[str, Any]]) -> "torch.optim.Optimizer":
        import torch

        return torch.optim.AdamW(made, lr=0.0, betas=(self.beta1, self.beta2), eps=self.epsilon, fused=True)
