"""Parameter groups, made once for every optimizer: which tensors decay, which are hidden matrices, at what rate."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


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
