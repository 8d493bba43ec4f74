"""Adafactor: second moments of a matrix from its rows and columns alone (Shazeer and Stern, 2018)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from affina.training.ruled import Ruled

if TYPE_CHECKING:
    from torch import Tensor


class Adafactor(Ruled):
    """Adam whose second moments are a product of row and column means (Shazeer and Stern, 2018).

    A matrix of n × m keeps n + m numbers. The rate is the schedule's: the paper's own 1/√t is left out.
    """

    beta1: float = Field(0.0, ge=0, lt=1)
    """Decay of the running mean of changes, before the rate; 0, the paper's, keeps none."""
    decay: float = Field(0.8, gt=0, le=1)
    """At step t the second moments keep 1 - t^-decay of themselves."""
    threshold: float = Field(1.0, gt=0)
    """The largest root mean square of a tensor's change before the rate; a larger one is scaled down to it."""
    relative: bool = False
    """Multiply the change by the root mean square of the tensor: the paper's relative steps, with rates of 1e-2."""
    least: float = Field(1e-3, gt=0)
    """The smallest root mean square a tensor counts with, where steps are relative."""
    epsilon: float = Field(1e-30, gt=0)
    """Added to squared gradients."""

    def begin(self, parameter: "Tensor", group: Mapping[str, Any]) -> "dict[str, Tensor]":
        import torch

        from affina.training.adam import counter

        shape = parameter.shape
        sizes = {"exp_avg": shape} if self.beta1 else {}
        if parameter.ndim > 1:
            sizes |= {"row": shape[:-1], "column": torch.Size([*shape[:-2], shape[-1]])}
        else:
            sizes |= {"exp_avg_sq": shape}
        zeros = {key: torch.zeros(each, dtype=torch.float32, device=parameter.device) for key, each in sizes.items()}
        return {"step": counter(parameter), **zeros}

    def update(
        self, parameter: "Tensor", gradient: "Tensor", state: "dict[str, Tensor]", group: Mapping[str, Any]
    ) -> None:
        from affina.training.adam import shrunk

        state["step"].add_(1)
        change = self._scaled(gradient, state)
        change.div_((_size(change) / self.threshold).clamp_(min=1.0))
        if self.relative:
            change.mul_((_size(parameter) / group.get("unit", 1.0)).clamp_(min=self.least))
        if self.beta1:
            change = state["exp_avg"].lerp_(change, 1 - self.beta1)
        shrunk(parameter, group)
        parameter.add_(change, alpha=-group["lr"])

    def _scaled(self, gradient: "Tensor", state: "dict[str, Tensor]") -> "Tensor":
        """The gradient over the root of its second moments, of its shape, in memory of its own."""
        squares, new = gradient.square().add_(self.epsilon), state["step"] ** -self.decay
        if "exp_avg_sq" in state:
            return gradient * _kept(state["exp_avg_sq"], squares, new).rsqrt()
        row = _kept(state["row"], squares.mean(-1), new)
        column = _kept(state["column"], squares.mean(-2), new)
        share = (row / row.mean(-1, keepdim=True)).rsqrt_().unsqueeze(-1)
        return gradient * share * column.rsqrt().unsqueeze(-2)


def _kept(held: "Tensor", fresh: "Tensor", new: "Tensor") -> "Tensor":
    """`held`, moved by the share `new` towards `fresh`."""
    return held.mul_(1 - new).add_(fresh * new)


def _size(tensor: "Tensor") -> "Tensor":
    """Root mean square."""
    return tensor.square().mean().sqrt_()
