"""The norms of a block: where they stand, and how they multiply."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from affina.engine.torch.fused.plain import Norm
from affina.engine.torch.norms import RootMeanSquare

Each = TypeVar("Each")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Norms(Generic[Each]):
    """A block's norms, or something of each of them; None where the family has none in that place."""

    before: Each | None
    """Of what the attention reads."""
    attended: Each | None
    """Of what the attention gives, before the residual sum."""
    middle: Each | None
    """Of what the inner layers read."""
    made: Each | None
    """Of what they give, before the residual sum."""
    query: Each | None
    key: Each | None

    def of(self, make: Callable[[Each], Other]) -> "Norms[Other]":
        """The same places, something made of each norm."""
        return Norms(*(None if each is None else make(each) for each in self.places()))

    def places(self) -> tuple[Each | None, ...]:
        return (self.before, self.attended, self.middle, self.made, self.query, self.key)

    def all(self) -> Iterator[Each]:
        """Those that there are."""
        return (each for each in self.places() if each is not None)


def norm_of(norm: nn.Module, dtype: torch.dtype) -> Norm:
    """A norm module as it multiplies now, in `dtype`."""
    weight: Tensor = norm.weight.detach().to(dtype)  # type: ignore[operator]
    if isinstance(norm, RootMeanSquare):
        return Norm(weight + norm.offset if norm.offset else weight, norm.variance_epsilon)
    assert isinstance(norm, nn.LayerNorm)
    return Norm(weight, norm.eps, torch.zeros_like(weight) if norm.bias is None else norm.bias.detach().to(dtype))


def is_known(norm: nn.Module) -> bool:
    """Whether `norm_of` takes it: an RMS norm, or a layer norm with a weight."""
    if isinstance(norm, RootMeanSquare):
        return True
    if type(norm) is not nn.LayerNorm or len(norm.normalized_shape) > 1:
        return False
    return norm.weight is not None
