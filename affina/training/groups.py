"""Parameter groups, made once for every optimizer: which tensors decay, which are hidden matrices, at what rate."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from affina.core.kinds import Optimizer

if TYPE_CHECKING:
    import torch


class Grouped(Optimizer):
    """An optimizer over the groups made here: it says what is built over them."""

    weight_decay: float = Field(0.0, ge=0)
    """Share of each matrix taken away per step, times the learning rate. Vectors (norms, biases) do not decay."""

    def build(
        self,
        parameters: "Mapping[str, torch.nn.Parameter]",
        scales: Mapping[str, float] | None = None,
        edges: Collection[str] = (),
    ) -> "torch.optim.Optimizer":
        return self.over(groups(parameters, scales, edges, self.weight_decay))

    @abstractmethod
    def over(self, made: list[dict[str, Any]]) -> "torch.optim.Optimizer":
        """The optimizer of these groups, at rate 0."""


def groups(
    parameters: "Mapping[str, torch.nn.Parameter]",
    scales: Mapping[str, float] | None = None,
    edges: Collection[str] = (),
    weight_decay: float = 0.0,
) -> list[dict[str, Any]]:
    """What torch's optimizers take: `params`, `weight_decay`, `scale` (of the rate), `hidden`, for each kind of tensor.

    Vectors (one axis or none: norms, biases) do not decay. Hidden are matrices (two axes) that are no embedding table
    and no head, as `edges` names these. A name in `scales` that does not move is left aside.
    """
    found: dict[tuple[float, float, bool], list[torch.nn.Parameter]] = {}
    for name, each in parameters.items():
        decay = weight_decay if each.ndim > 1 else 0.0
        kind = decay, (scales or {}).get(name, 1.0), each.ndim == 2 and name not in edges
        found.setdefault(kind, []).append(each)
    return [
        {"params": held, "weight_decay": decay, "scale": scale, "hidden": hidden}
        for (decay, scale, hidden), held in found.items()
    ]
