"""The sums over all words that log-probabilities need, in bf16 products on the processor (`native/head.cpp`).

Logits stay float32 there, as the products sum them.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor

from affina.core.errors import Failed
from affina.engine.torch import native

P, N, D = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
MOST_KEPT = 128 << 20  # bytes of chances that a forward pass leaves for the gradient of a weight
Kept: TypeAlias = tuple[Tensor, Tensor]
"""The chances of all words, as far as they are known in passing, and what each is relative to."""


class _Call(ctypes.Structure):
    """`HeadCall` of native/head.cpp."""

    _fields_ = (
        ("hidden", P), ("weight", P), ("wide", N), ("targets", P), ("S", N), ("V", N), ("D", N),
        ("scale", D), ("softcap", D), ("largest", P), ("target", P), ("rest", P), ("mixed", P),
        ("kept", P), ("marks", P), ("logsumexp", P), ("pushed", P), ("grad", P),
    )  # fmt: skip


@cache
def kernel() -> ctypes.CDLL | None:
    """The library where it holds these kernels: a compiler, and a processor with bf16 products."""
    found = native.library()
    return found if found is not None and found.affina_head() else None


def takes(hidden_SD: Tensor, weight_VD: Tensor) -> bool:
    """Whether the kernels compute with these: bf16 states, a weight in bf16 or float32, D even."""
    right = hidden_SD.dtype == torch.bfloat16 and weight_VD.dtype in (torch.bfloat16, torch.float32)
    right = right and hidden_SD.device.type == weight_VD.device.type == "cpu"
    right = right and hidden_SD.shape[1] == weight_VD.shape[1] and hidden_SD.shape[1] % 2 == 0
    return right and weight_VD.is_contiguous() and kernel() is not None


@dataclass(frozen=True, slots=True)
class Head:
    """What the sums are over: weight [V, D], bf16 or float32, and logits that are products · scale, softly capped."""

    weight_VD: Tensor
    scale: float
    softcap: float | None

    def sums(
        self, hidden_SD: Tensor, targets_S: Tensor, mixed_SD: Tensor | None, keep: bool
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Kept | None]:
        """[S] each, float32: the largest logit, the target's, Σ exp(logit - largest) over all other words.

        `mixed_SD`, float32, becomes Σ exp(logit - largest) · bend · weight over these words, with
        bend = d logit / d (scale · product). With `keep`, what `weight_gradient` would compute again, unless it is
        more than `MOST_KEPT` bytes. Raises Failed without memory.
        """
        largest_S, target_S, rest_S = torch.empty(3, len(hidden_SD), dtype=torch.float32).unbind()
        call, held = self._call(hidden_SD, targets_S)
        call.largest, call.target, call.rest = (each.data_ptr() for each in (largest_S, target_S, rest_S))
        call.mixed = None if mixed_SD is None else mixed_SD.data_ptr()
        kept = self._room(call) if keep else None
        if kept is not None:
            call.kept, call.marks = (each.data_ptr() for each in kept)
        _run("affina_head_forward", call, held)
        return (largest_S, target_S, rest_S), kept

    def weight_gradient(
        self, hidden_SD: Tensor, targets_S: Tensor, logsumexp_S: Tensor, pushed_SD: Tensor, kept: Kept | None
    ) -> Tensor:
        """[V, D] float32: -Σ chance · bend · pushed over the positions whose target is another word.

        `pushed_SD`, bf16: hidden states times the gradient of their log-probability. Raises Failed without memory.
        """
        logsumexp_S, pushed_SD = logsumexp_S.contiguous(), pushed_SD.contiguous()
        made = torch.empty(self.weight_VD.shape, dtype=torch.float32)
        if not len(hidden_SD):
            return made.zero_()
        call, held = self._call(hidden_SD, targets_S)
        call.logsumexp, call.pushed, call.grad = logsumexp_S.data_ptr(), pushed_SD.data_ptr(), made.data_ptr()
        if kept is not None:
            call.kept, call.marks = (each.data_ptr() for each in kept)
        _run("affina_head_backward", call, held)
        return made

    def _call(self, hidden_SD: Tensor, targets_S: Tensor) -> tuple[_Call, tuple[Tensor, ...]]:
        """The call, and the tensors that must live as long as it does."""
        assert targets_S.dtype == torch.int64 and targets_S.device.type == "cpu" and len(targets_S) == len(hidden_SD)
        hidden_SD, targets_S = hidden_SD.contiguous(), targets_S.contiguous()
        wide = self.weight_VD.dtype == torch.float32
        call = _Call(scale=self.scale, softcap=self.softcap or 0.0, wide=wide, weight=self.weight_VD.data_ptr())
        call.hidden, call.targets, call.S = hidden_SD.data_ptr(), targets_S.data_ptr(), len(hidden_SD)
        call.V, call.D = self.weight_VD.shape
        return call, (hidden_SD, targets_S)

    def _room(self, call: _Call) -> Kept | None:
        sizes, library = (N * 2)(), kernel()
        assert library is not None
        library.affina_head_sizes(ctypes.byref(call), sizes)
        if sum(sizes) > MOST_KEPT:
            return None
        kept, marks = (torch.empty(size, dtype=torch.uint8) for size in sizes)
        return kept, marks


def _run(name: str, call: _Call, held: tuple[Tensor, ...]) -> None:
    if held[0].numel() and getattr(kernel(), name)(ctypes.byref(call)):
        raise Failed("the sums over all words ran out of memory", instead="take fewer tokens per micro-batch")
