"""What optimizers with a rule of their own share: the rule for one tensor is all that each must say."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from affina.core.kinds import Optimizer
from affina.training.groups import groups

if TYPE_CHECKING:
    import torch


class Ruled(Optimizer):
    """An optimizer that says how one tensor moves. All states are tensors, float32 unless it says otherwise."""

    weight_decay: float = Field(0.0, ge=0)
    """Share of each matrix taken away per step, times the learning rate. Vectors (norms, biases) do not decay."""

    def build(
        self,
        parameters: "Mapping[str, torch.nn.Parameter]",
        scales: Mapping[str, float] | None = None,
        edges: Collection[str] = (),
    ) -> "torch.optim.Optimizer":
        from affina.engine.torch.tensorwise import TensorWise

        return TensorWise(groups(parameters, scales, edges, self.weight_decay), self)

    @abstractmethod
    def begin(self, parameter: "torch.Tensor", group: Mapping[str, Any]) -> "dict[str, torch.Tensor]":
        """The state before the first step; it never changes keys, shapes or dtypes."""

    @abstractmethod
    def update(
        self,
        parameter: "torch.Tensor",
        gradient: "torch.Tensor",
        state: "dict[str, torch.Tensor]",
        group: Mapping[str, Any],
    ) -> None:
        """Moves the parameter, float32 here, and its state in place."""
