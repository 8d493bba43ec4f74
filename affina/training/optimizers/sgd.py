"""Stochastic gradient descent with momentum (Sutskever et al., 2013), as torch implements it."""

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from affina.training.groups import Grouped

if TYPE_CHECKING:
    import torch


class Sgd(Grouped):
    """Steps along the gradient, with momentum (Sutskever et al., 2013). Its rates are some 100 times Adam's."""

    weight_decay: float = Field(0.0, ge=0)
    """L2: this share of each matrix is added to its gradient. Vectors (norms, biases) do not decay."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Share of the last change that is made again; 0 keeps no state at all."""
    nesterov: bool = False
    """Look ahead: step along the gradient as it will be after the momentum's change."""

    @model_validator(mode="after")
    def _looks_ahead_with_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov looks ahead along the momentum: give momentum above 0, or leave nesterov out")
        return self

    def over(self, made: list[dict[str, Any]]) -> "torch.optim.Optimizer":
        import torch

        return torch.optim.SGD(made, lr=0.0, momentum=self.momentum, nesterov=self.nesterov)
