"""Exact attention over a forest by the machine's own kernels (`native/attention.cpp`), with gradients.

FlashAttention-2 (Dao 2023, arXiv:2307.08691): scores are never stored, backward computes them again from the
log-sum-exp. The same bits for any number of threads.
"""

import ctypes
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable

from affina.core.errors import Failed
from affina.core.kinds import Ints
from affina.engine.torch import native

WIDEST = 256
"""The widest head the kernels take; a width is even."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one layer scores a query and a key, and which keys a query sees by their depths' distance.

    `softcap` c turns a score s into c · tanh(s / c). With a `window`, distances of `window` and more are hidden. Of the
    weights `parts` in 2^16 are dropped after the softmax, by a seed of 64 bits and their places alone, the rest scaled.
    """

    scale: float
    causal: bool = True
    window: int | None = None
    softcap: float | None = None
    parts: int = 0
    seed: int = 0


class Saved(NamedTuple):
    """What backward needs: query [T, H, D], key and value [T, Hkv, D], out [T, H, D], lse [H, T] in nats."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    out: torch.Tensor
    lse: torch.Tensor


class Gradients(NamedTuple):
    """Where the gradients go: shaped and typed as query, key and value, with any strides from token to token."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor


class _Tensor(ctypes.Structure):
    _fields_ = (("at", ctypes.c_void_p), ("row", ctypes.c_int64), ("head", ctypes.c_int64))


class _Call(ctypes.Structure):
    """`Call` of native/forest.h."""

    _fields_ = (
        *((name, _Tensor) for name in ("q", "k", "v", "out", "dout", "dq", "dk", "dv")),
        *((name, ctypes.c_void_p) for name in ("lse", "segments")),
        *((name, ctypes.c_int64) for name in ("count", "tokens", "heads", "groups", "width", "causal", "window")),
        *((name, ctypes.c_double) for name in ("scale", "softcap")),
        ("seed", ctypes.c_uint64),
        ("threshold", ctypes.c_int64),
    )


def takes(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: Rule) -> bool:
    """Whether the kernels compute this layer here: on the processor, bf16 or float32, heads of an even width."""
    kinds = {query.dtype, key.dtype, value.dtype}
    return (
        query.device.type == "cpu"
        and kinds in ({torch.bfloat16}, {torch.float32})
        and query.shape[-1] == value.shape[-1] <= WIDEST
        and query.shape[-1] % 2 == 0
        and query.shape[1] % key.shape[1] == 0
        and rule.scale > 0
        and native.library() is not None
    )


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments_N3: Ints, rule: Rule) -> torch.Tensor:
    """query [T, H, D], key and value [T, Hkv, D], segments as (start, stop, parent) rows → [T, H, D], differentiable.

    The three have one dtype, bf16 or float32, which the result has; `takes` says whether the kernels can.
    """
    out: torch.Tensor = _Attend.apply(query, key, value, segments_N3, rule)  # type: ignore[no-untyped-call]
    return out


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *how: Any) -> torch.Tensor:
        ctx.how = how
        out, lse = forward(query, key, value, *how)
        ctx.save_for_backward(query, key, value, out, lse)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        saved = Saved(*ctx.saved_tensors)
        into = Gradients(*(torch.empty_like(each, memory_format=torch.contiguous_format) for each in saved[:3]))
        backward(dout, saved, into, *ctx.how)
        return *into, None, None


def forward(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments_N3: Ints, rule: Rule
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `attend`, without gradients: (out [T, H, D], the log-sum-exp of the scores [H, T], float32)."""
    out = torch.empty(query.shape, dtype=query.dtype)
    lse = torch.empty(query.shape[1], query.shape[0], dtype=torch.float32)
    _run("affina_attention_forward", {"q": query, "k": key, "v": value, "out": out}, lse, segments_N3, rule)
    return out, lse


def backward(dout: torch.Tensor, saved: Saved, into: Gradients, segments_N3: Ints, rule: Rule) -> None:
    """Overwrites `into` with the gradients of query, key and value, given out's gradient `dout` [T, H, D]."""
    tensors = dict(zip(("q", "k", "v", "out", "dq", "dk", "dv"), (*saved[:4], *into), strict=True)) | {"dout": dout}
    _run("affina_attention_backward", tensors, saved.lse, segments_N3, rule)


def _run(name: str, tensors: dict[str, torch.Tensor], lse: torch.Tensor, segments_N3: Ints, rule: Rule) -> None:
    lent = {key: each if each.stride(-1) == 1 else each.contiguous() for key, each in tensors.items()}
    query, size = lent["q"], lent["q"].element_size()
    call = _Call(
        **{key: _Tensor(t.data_ptr(), t.stride(0) * size, t.stride(1) * size) for key, t in lent.items()},
        lse=lse.data_ptr(),
        segments=segments_N3.ctypes.data,
        count=len(segments_N3),
        tokens=query.shape[0],
        heads=query.shape[1],
        groups=lent["k"].shape[1],
        width=query.shape[2],
        causal=rule.causal,
        window=rule.window or 0,
        scale=rule.scale,
        softcap=rule.softcap or 0.0,
        seed=rule.seed,
        threshold=rule.parts,
    )
    library = native.library()
    if library is None:
        raise Failed("attention by kernels was asked for and there are none", native.reason(), "switch kernels off")
    if getattr(library, name)(ctypes.byref(call), int(query.dtype == torch.bfloat16)):
        raise Failed("attention ran out of memory", instead="take fewer tokens per micro-batch")
