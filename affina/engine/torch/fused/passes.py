"""A block of frozen bf16 weights, a pass at a call (`native/passes.cpp`): the kernels that `block.py` calls one by one.

A step of small batches has some two thousand such calls; what Python takes for them is then a fifth of the step.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from affina.core.errors import Failed
from affina.core.kinds import Ints
from affina.engine.torch import native, thin
from affina.engine.torch.dropped import threshold
from affina.engine.torch.flash import WIDEST, Rule
from affina.engine.torch.fused.norms import Norms, norm_of
from affina.engine.torch.fused.plain import Heads, Norm
from affina.engine.torch.fused.products import Layer, Stack

if TYPE_CHECKING:
    from affina.engine.torch.fused.block import Block
    from affina.engine.torch.fused.form import Form

P, N, D = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
LAYERS, STACKS = 3, ("qkv", "o", "gate_up", "down")
NORMS = (
    "norm", "norm_bias", "norm_middle", "norm_middle_bias", "norm_attended", "norm_made", "norm_query", "norm_key",
)  # fmt: skip


class _Adapter(ctypes.Structure):
    """`Adapter` of native/passes.cpp."""

    _fields_ = (("a", P), ("b", P), ("grad_b", P), ("rank", N), ("scale", D))


class _Stack(ctypes.Structure):
    """`Stack` of native/passes.cpp."""

    _fields_ = (
        ("ahead", P), ("back", P), ("bias", P), ("inputs", N), ("count", N), ("sizes", N * LAYERS),
        ("beside", _Adapter * LAYERS), ("grad_a", P), ("seed", ctypes.c_uint64), ("threshold", N),
    )  # fmt: skip


class _Call(ctypes.Structure):
    """`BlockCall` of native/passes.cpp."""

    _fields_ = (
        *((name, _Stack) for name in STACKS),
        *((name, P) for name in NORMS),
        *((name, D) for name in ("eps", "eps_middle", "eps_attended", "eps_made", "eps_heads", "times")),
        *((name, N) for name in ("heads", "key_heads", "width", "turned", "jointly", "curve", "parts")),
        *((name, D) for name in ("scale", "softcap")),
        *((name, N) for name in ("window", "causal", "T")),
        *((name, P) for name in ("cos", "sin", "segments")),
        ("count", N),
        *((name, P) for name in ("x", "out", "grad", "kept", "aside")),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The library where it holds these passes: a compiler, and a processor with bf16 products."""
    found = native.library()
    if found is None or not found.affina_block():
        return None
    found.affina_block_sizes.argtypes, found.affina_block_sizes.restype = (P, P), None
    return found


def takes(heads: Heads, rule: Rule, stacks: Sequence[Stack]) -> bool:
    """Whether blocks of this shape can be computed so."""
    fits = heads.width <= WIDEST and heads.queries % heads.keys == 0 and rule.scale > 0
    return library() is not None and fits and all(stack.calls_alone for stack in stacks)


def reads(layers: Sequence[Layer]) -> bool:
    """Whether the adapters beside these layers are as the kernels read them."""
    return all(
        each.dtype == torch.float32 and each.is_contiguous()
        for layer in layers
        if layer.beside is not None
        for each in (layer.beside.lora_A, layer.beside.lora_B)
    )


@dataclass(slots=True)
class Left:
    """What a forward pass leaves for the backward pass."""

    x: Tensor
    norms: Norms[Norm]
    biases: Sequence[Tensor | None]
    segments_N3: Ints
    memory: Tensor
    drops: Sequence[tuple[int, int]]
    """Of each stack: the seed of what its adapters leave out, and how many parts of it."""
    aside: int = 0
    """Bytes that the backward pass needs while it runs."""


class Passes:
    """The passes of a block of this form. Weights, adapters and scales are read anew by every one of them."""

    def __init__(self, form: "Form", stacks: Sequence[Stack]) -> None:
        self._call, self._sizes = _Call(), (N * 3)()
        call, rule = self._call, form.rule
        self._stacks: list[tuple[_Stack, list[_Adapter]]] = []
        for name, stack in zip(STACKS, stacks, strict=True):
            into: _Stack = getattr(call, name)
            into.inputs, into.count = stack.layers[0].shape[1], len(stack.layers)
            for place, size in enumerate(stack.sizes):
                into.sizes[place] = size
            self._stacks.append((into, [into.beside[place] for place in range(LAYERS)]))
        call.heads, call.key_heads, call.width = form.heads.queries, form.heads.keys, form.heads.width
        call.curve, call.parts, call.times = form.act.curve, 2 if form.act.gated else 1, form.times
        call.scale, call.softcap, call.window = rule.scale, rule.softcap or 0.0, rule.window or 0
        call.causal = rule.causal
        self._alone = Lock()  # the call is filled and made by one thread at a time

    def forward(
        self, block: "Block", x: Tensor, positions: tuple[Tensor, Tensor], segments_N3: Ints, seeds: Sequence[int]
    ) -> tuple[Tensor, Left]:
        """x [T, D] float32 → the block's output, float32, and what backward needs."""
        norms = block.norms.of(lambda each: norm_of(each, torch.float32))
        biases = [stack.bias(torch.float32) for stack in block.stacks]
        drops = [(0, 0)] * len(STACKS)
        if seeds:
            drops = [(seed, threshold(stack.share)) for seed, stack in zip(seeds, block.stacks, strict=True)]
        with self._alone:
            left = Left(x, norms, biases, segments_N3, x, drops)
            self._fill(block, left)
            found = library()
            assert found is not None
            found.affina_block_sizes(ctypes.addressof(self._call), self._sizes)
            left.memory, aside = (torch.empty(size, dtype=torch.uint8) for size in self._sizes[:2])
            left.aside, out = self._sizes[2], torch.empty_like(x)
            self._run("affina_block_forward", left, positions, aside, out)
        return out, left

    def backward(
        self, block: "Block", grad: Tensor, left: Left, positions: tuple[Tensor, Tensor], wants_input: bool
    ) -> tuple[Tensor | None, dict[Tensor, Tensor]]:
        """The gradient in x (None where it is not wanted) and in every adapter."""
        beside = [[each.beside for each in stack.layers if each.beside is not None] for stack in block.stacks]
        learning = [each for own in beside for each in (*(one.lora_A for one in own), *(one.lora_B for one in own))]
        counts = [each.numel() for each in learning]
        parts = torch.split(torch.empty(sum(counts), dtype=torch.float32), counts)
        gradients: dict[Tensor, Tensor] = {
            each: part.view(each.shape) for each, part in zip(learning, parts, strict=True)
        }
        aside, dx = torch.empty(left.aside, dtype=torch.uint8), torch.empty_like(grad) if wants_input else None
        with self._alone:
            self._fill(block, left)
            for (into, adapters), stack, own in zip(self._stacks, block.stacks, beside, strict=True):
                into.back = _words(stack.laid_back(torch.bfloat16))
                if own:  # A's of a stack stand side by side
                    into.grad_a = gradients[own[0].lora_A].data_ptr()
                for one, layer in zip(adapters, stack.layers, strict=False):
                    if layer.beside is not None:
                        one.grad_b = gradients[layer.beside.lora_B].data_ptr()
            self._call.grad = grad.data_ptr()
            self._run("affina_block_backward", left, positions, aside, dx)
        return dx, gradients

    def _fill(self, block: "Block", left: Left) -> None:
        """What the call reads of the block, as it is now."""
        call, norms = self._call, left.norms
        call.norm, call.norm_bias, call.eps = _norm(norms.before)
        call.norm_middle, call.norm_middle_bias, call.eps_middle = _norm(norms.middle)
        call.norm_attended, _, call.eps_attended = _norm(norms.attended)
        call.norm_made, _, call.eps_made = _norm(norms.made)
        call.norm_query, _, call.eps_heads = _norm(norms.query)
        call.norm_key, _, _ = _norm(norms.key)
        call.jointly = norms.query is not None and norms.query.weight.shape[0] > call.width
        each = zip(self._stacks, block.stacks, left.biases, left.drops, strict=True)
        for (into, adapters), stack, bias, drops in each:
            into.seed, into.threshold = drops
            into.ahead = _words(stack.laid_ahead(torch.bfloat16))
            into.bias = None if bias is None else bias.data_ptr()
            for one, layer in zip(adapters, stack.layers, strict=False):
                if (beside := layer.beside) is not None:
                    a, b = beside.lora_A, beside.lora_B
                    one.a, one.b, one.rank, one.scale = a.data_ptr(), b.data_ptr(), len(a), beside.scale
        call.T, call.segments, call.count = len(left.x), left.segments_N3.ctypes.data, len(left.segments_N3)

    def _run(self, name: str, left: Left, positions: tuple[Tensor, Tensor], aside: Tensor, out: Tensor | None) -> None:
        call = self._call
        (call.cos, call.sin), call.turned = (each.data_ptr() for each in positions), positions[0].shape[1]
        call.x, call.out = left.x.data_ptr(), None if out is None else out.data_ptr()
        call.kept, call.aside = left.memory.data_ptr(), aside.data_ptr()
        if getattr(library(), name)(ctypes.byref(call)):
            raise Failed("a block ran out of memory", instead="take fewer tokens per micro-batch")


def _words(product: object) -> int:
    assert isinstance(product, thin.Wide)
    return product.words.data_ptr()


def _norm(norm: Norm | None) -> tuple[int | None, int | None, float]:
    """Weight, bias and epsilon as a call takes them."""
    if norm is None:
        return None, None, 0.0
    return norm.weight.data_ptr(), None if norm.bias is None else norm.bias.data_ptr(), norm.eps
