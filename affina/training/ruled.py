"""What optimizers with a rule of their own share: the rule for one tensor is all that each must say."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from affina.training.groups import Grouped

if TYPE_CHECKING:
    import torch


class Ruled(Grouped):
    """An optimizer that says how one tensor moves. All states are tensors, float32 unless it says otherwise."""

    def over(self, made: list[dict[str, Any]]) -> "torch.optim.Optimizer":
        from affina.engine.torch.tensorwise import TensorWise

        return TensorWise(made, self)

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
