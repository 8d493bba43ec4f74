"""The sums over all words that log-probabilities need, in bf16 products on the processor (`native/head.cpp`).

Logits stay float32 there, as the products sum them.
"""

import ctypes
from functools import cache

import torch
from torch import Tensor

from affina.core.errors import Failed
from affina.engine.torch import native

P, N, D = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double


class _Call(ctypes.Structure):
    """`HeadCall` of native/head.cpp."""

    _fields_ = (
        ("hidden", P), ("weight", P), ("wide", N), ("targets", P), ("S", N), ("V", N), ("D", N),
        ("scale", D), ("softcap", D), ("largest", P), ("target", P), ("rest", P), ("mixed", P),
        ("logsumexp", P), ("pushed", P), ("grad", P),
    )  # fmt: skip


@cache
def kernel() -> ctypes.CDLL | None:
    """The library where it holds these kernels: a compiler, and a processor with bf16 products."""
    found = native.library()
    return found if found is not None and found.affina_head() else None


def takes(hidden_SD: Tensor, weight_VD: Tensor) -> bool:
    """Whether the kernels compute with these: bf16 states, a weight in bf16 or float32, D even."""
    right = hidden_SD.dtype == torch.bfloat16 and weight_VD.dtype in (torch.bfloat16, torch.float32)
    right = right and hidden_SD.device.type == "cpu" and hidden_SD.shape[1] % 2 == 0
    return right and weight_VD.is_contiguous() and kernel() is not None


def sums(
    hidden_SD: Tensor, weight_VD: Tensor, targets_S: Tensor, how: tuple[float, float | None], mixed_SD: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """[S] each, float32: the largest logit, the target's, Σ exp(logit - largest) over all other words.

    `how`: scale and softcap. `mixed_SD`, float32, becomes Σ exp(logit - largest) · bend · weight over these words, with
    bend = d logit / d (scale · product). Raises Failed without memory.
    """
    largest_S, target_S, rest_S = torch.empty(3, len(hidden_SD)).unbind()
    call, held = _call(hidden_SD, weight_VD, targets_S, how)
    call.largest, call.target, call.rest = (each.data_ptr() for each in (largest_S, target_S, rest_S))
    call.mixed = None if mixed_SD is None else mixed_SD.data_ptr()
    _run("affina_head_forward", call, held)
    return largest_S, target_S, rest_S


def weight_gradient(
    hidden_SD: Tensor,
    weight_VD: Tensor,
    targets_S: Tensor,
    how: tuple[float, float | None],
    given: tuple[Tensor, Tensor],
) -> Tensor:
    """[V, D] float32: -Σ chance · bend · pushed over the positions whose target is another word.

    `given`: the log-sum-exp [S] of each position and `pushed` [S, D], hidden states times the gradient of their
    log-probability. Raises Failed without memory.
    """
    logsumexp_S, pushed_SD = (each.contiguous() for each in given)
    made = torch.empty(weight_VD.shape)
    call, held = _call(hidden_SD, weight_VD, targets_S, how)
    call.logsumexp, call.pushed, call.grad = logsumexp_S.data_ptr(), pushed_SD.data_ptr(), made.data_ptr()
    _run("affina_head_backward", call, held)
    return made


def _call(
    hidden_SD: Tensor, weight_VD: Tensor, targets_S: Tensor, how: tuple[float, float | None]
) -> tuple[_Call, tuple[Tensor, ...]]:
    """The call, and the tensors that must live as long as it does."""
    hidden_SD, targets_S = hidden_SD.contiguous(), targets_S.contiguous()
    scale, softcap = how
    call = _Call(scale=scale, softcap=softcap or 0.0, wide=weight_VD.dtype == torch.float32)
    call.hidden, call.weight, call.targets = hidden_SD.data_ptr(), weight_VD.data_ptr(), targets_S.data_ptr()
    call.S, (call.V, call.D) = len(hidden_SD), weight_VD.shape
    return call, (hidden_SD, targets_S)


def _run(name: str, call: _Call, held: tuple[Tensor, ...]) -> None:
    if held[0].numel() and getattr(kernel(), name)(ctypes.byref(call)):
        raise Failed("the sums over all words ran out of memory", instead="take fewer tokens per micro-batch")
