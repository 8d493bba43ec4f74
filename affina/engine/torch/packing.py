"""Frozen bf16 weights laid out once for the processor's matrix products: by the machine's own kernel, or oneDNN's."""

from collections.abc import Callable

import torch
from torch import Tensor

from affina.engine.torch import thin

Product = Callable[[Tensor], Tensor]


def laid_out(weight: Tensor, rows: int) -> Product | None:
    """x [..., in] → x Wᵀ [..., out] for a weight [out, in]; None where no layout is offered for it here.

    `rows`: the number of rows that oneDNN chooses its layout for; any number may come.
    """
    if thin.takes(weight):
        return thin.Wide(weight)
    offered = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not offered or weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
        return None
    made: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return lambda x: _times(x, made)


def _times(x: Tensor, weight: Tensor) -> Tensor:
    made: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return made
