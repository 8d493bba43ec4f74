"""What a block leaves out of its own in training: shares of the attention's weights and of what its halves give."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from torch import nn


class Drops:
    """Read anew at every pass: a module of dropout, one that does nothing in its place, or a number beside the module
    that reads it; "" for none."""

    def __init__(self, layer: nn.Module, paths: Sequence[str]) -> None:
        split = [path.rpartition(".") for path in paths]
        self._places = [(attrgetter(owner)(layer) if owner else layer, name) for owner, _, name in split]

    def handles(self, owner: nn.Module, name: str) -> bool:
        """Whether this number, or this module, beside `owner` is one of these."""
        return any(each is owner and own == name for each, own in self._places)

    @property
    def modules(self) -> list[nn.Module]:
        return [each for each in self._found() if isinstance(each, nn.Module)]

    @property
    def plain(self) -> bool:
        """Whether each is torch's own dropout, or a number, of less than everything."""
        return all(
            each is None or (each.p if type(each) is nn.Dropout else each if isinstance(each, float | int) else 1) < 1
            for each in self._found()
        )

    @property
    def any(self) -> bool:
        """Whether something is left out in training."""
        return any(each is not None and (each.p if isinstance(each, nn.Dropout) else each) for each in self._found())

    def shares(self) -> tuple[float, float, float]:
        """Of the attention's weights, of its output and of the inner layers', now."""
        weights, attended, made = (self._share(*place) for place in self._places)
        return weights, attended, made

    def _found(self) -> list[Any]:
        found = [getattr(owner, name) if name else None for owner, name in self._places]
        return [None if type(each) is nn.Identity else each for each in found]

    @staticmethod
    def _share(owner: nn.Module, name: str) -> float:
        if not name:
            return 0.0
        given: Any = getattr(owner, name)
        if isinstance(given, nn.Module):
            return given.p if isinstance(given, nn.Dropout) and given.training else 0.0
        return float(given) if owner.training else 0.0
