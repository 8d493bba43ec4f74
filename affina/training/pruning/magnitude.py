"""The smallest weights become 0 (Han et al., 2015)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from affina.core.kinds import Row
from affina.core.pruning import Pruning

if TYPE_CHECKING:
    import torch


class Magnitude(Pruning):
    """Zeros in every linear layer but the output head, the smallest of each. Files and products stay as large."""

    structured: ClassVar[bool] = False

    share: float = Field(0.3, gt=0, lt=1)
    """Of each layer's weights."""

    def prune(self, model: "torch.nn.Module", rows: Sequence[Row]) -> None:
        from torch import nn

        whole: Any = model
        for layer in (each for each in model.modules() if isinstance(each, nn.Linear)):
            if layer is whole.get_output_embeddings():
                continue
            weight = layer.weight.data
            count = int(self.share * weight.numel())
            if count:
                least = weight.abs().flatten().kthvalue(count).values
                weight[weight.abs() <= least] = 0
