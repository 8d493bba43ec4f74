"""Frozen bf16 weights laid out once for the processor's matrix products (oneDNN), where the library offers it."""

import torch
from torch import Tensor


def packable(weight: Tensor) -> bool:
    """Whether a weight [out, in] can be laid out here."""
    offered = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(offered and weight.device.type == "cpu" and weight.dtype == torch.bfloat16)


def packed(weight: Tensor, rows: int) -> Tensor:
    """The weight in a layout chosen for inputs of about this many rows; `times` takes inputs of any number."""
    made: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return made


def times(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [T, in] and a laid-out weight → x Wᵀ + b [T, out]."""
    made: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return made
