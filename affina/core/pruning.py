"""What pruning is: a trained model with weights taken out, without more training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from affina.core.part import Part

if TYPE_CHECKING:
    import torch

    from affina.core.kinds import Row


class Pruning(Part):
    """Which weights a model can do without. The library's own model of a base, in float32, is changed in place."""

    structured: ClassVar[bool]
    """Whether what goes leaves smaller matrices behind, or zeros."""

    @abstractmethod
    def prune(self, model: torch.nn.Module, rows: Sequence[Row]) -> None:
        """Changes model and config together, so that both saved make the smaller model. `rows` show what matters.

        Raises Refused for a base that it cannot be done to.
        """
