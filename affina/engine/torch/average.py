"""The average of what trains, beside it: followed step by step, put in its place for a while, saved with it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from affina.core.kinds import Averaging


class Average:
    """float32 (float64 where the weights are): a low-precision average would stand still."""

    def __init__(self, part: Averaging, weights: Mapping[str, torch.Tensor], steps: int) -> None:
        self.part, self.steps = part, steps
        self.tensors = {name: each.detach().to(_wide(each), copy=True) for name, each in weights.items()}

    @torch.no_grad()
    def follow(self, weights: Mapping[str, torch.Tensor], step: int) -> None:
        """Goes towards the weights, as the averaging says of this step."""
        share = self.part.share(step, self.steps)
        if share > 0:
            for name, each in self.tensors.items():
                each.lerp_(weights[name].to(each.dtype), share)

    @contextmanager
    def instead(self, weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
        """Inside, the weights are the average, rounded to their dtype; afterwards what they were, to the bit."""
        held = {name: each.detach().clone() for name, each in weights.items()}
        put(self.tensors, weights)
        try:
            yield
        finally:
            put(held, weights)


@torch.no_grad()
def put(values: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> None:
    """Copies values into weights of the same names."""
    for name, each in weights.items():
        each.copy_(values[name])


def _wide(weight: torch.Tensor) -> torch.dtype:
    return torch.promote_types(weight.dtype, torch.float32)
