"""Lion: the sign of a momentum (Chen et al., 2023, "Symbolic Discovery of Optimization Algorithms")."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from affina.training.ruled import Ruled

if TYPE_CHECKING:
    from torch import Tensor


class Lion(Ruled):
    """Every number moves by the rate, up or down (Chen et al., 2023). Half of Adam's state.

    The paper's rates are 3 to 10 times smaller than Adam's, its weight decay as many times larger.
    """

    beta1: float = Field(0.9, ge=0, lt=1)
    """Share of the running mean in the direction taken; the rest is the gradient."""
    beta2: float = Field(0.99, ge=0, lt=1)
    """Decay of the running mean of gradients."""

    def begin(self, parameter: "Tensor", group: Mapping[str, Any]) -> "dict[str, Tensor]":
        import torch

        return {"exp_avg": torch.zeros_like(parameter, dtype=torch.float32)}

    def update(
        self, parameter: "Tensor", gradient: "Tensor", state: "dict[str, Tensor]", group: Mapping[str, Any]
    ) -> None:
        from affina.training.adam import shrunk

        change = state["exp_avg"].lerp(gradient, 1 - self.beta1).sign_()
        shrunk(parameter, group)
        parameter.add_(change, alpha=-group["lr"])
        state["exp_avg"].lerp_(gradient, 1 - self.beta2)
