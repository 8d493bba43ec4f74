"""A block of frozen bf16 weights, a pass at a call (`native/passes.cpp`): the kernels that `block.py` calls one by one.

A step of small batches has some two thousand such calls; what Python takes for them is then a fifth of the step.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from affina.core.errors import Failed
from affina.core.kinds import Ints
from affina.engine.torch import native, thin
from affina.engine.torch.flash import WIDEST, Rule
from affina.engine.torch.fused.plain import Heads
from affina.engine.torch.fused.products import Layer, Stack

if TYPE_CHECKING:
    from affina.engine.torch.fused.block import Block

P, N, D = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
LAYERS = 3


class _Adapter(ctypes.Structure):
    """`Adapter` of native/passes.cpp."""

    _fields_ = (("a", P), ("b", P), ("grad_b", P), ("rank", N), ("scale", D))


class _Stack(ctypes.Structure):
    """`Stack` of native/passes.cpp."""

    _fields_ = (
        ("ahead", P), ("back", P), ("bias", P), ("inputs", N), ("count", N), ("sizes", N * LAYERS),
        ("beside", _Adapter * LAYERS), ("grad_a", P),
    )  # fmt: skip


class _Call(ctypes.Structure):
    """`BlockCall` of native/passes.cpp."""

    _fields_ = (
        *((name, _Stack) for name in ("qkv", "o", "gate_up", "down")),
        *((name, P) for name in ("norm", "norm_middle", "norm_query", "norm_key")),
        *((name, D) for name in ("eps", "eps_middle", "eps_heads")),
        *((name, N) for name in ("heads", "key_heads", "width", "gelu")),
        *((name, D) for name in ("scale", "softcap")),
        *((name, N) for name in ("window", "T")),
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


def takes(heads: Heads, rule: Rule) -> bool:
    """Whether blocks of this shape can be computed so."""
    return library() is not None and heads.width <= WIDEST and heads.queries % heads.keys == 0 and rule.scale > 0


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
    """What a forward pass leaves for the backward pass, which is by the same `Passes`."""

    by: "Passes"
    x: Tensor
    memory: Tensor
    segments_N3: Ints
    aside: int
    """Bytes that the backward pass needs while it runs."""


class Passes:
    """One block as long as its frozen weights are what they are now."""

    def __init__(self, block: "Block", rule: Rule) -> None:
        self.stacks = (block.qkv, block.o, block.gate_up, block.down)
        heads, norms = block.form.heads, [block.norm(place, torch.float32) for place in range(len(block.norms))]
        biases = [stack.bias(torch.float32) for stack in self.stacks]
        self._lent = (norms, biases)  # the call holds their addresses
        filled = [_stack(stack, bias) for stack, bias in zip(self.stacks, biases, strict=True)]
        query, key = norms[2:] or (None, None)
        self._call = _Call(
            *filled, norms[0].weight.data_ptr(), norms[1].weight.data_ptr(),
            None if query is None else query.weight.data_ptr(), None if key is None else key.weight.data_ptr(),
            norms[0].eps, norms[1].eps, 0.0 if query is None else query.eps,
            heads.queries, heads.keys, heads.width, block.form.gelu, rule.scale, rule.softcap or 0.0, rule.window or 0,
        )  # fmt: skip
        self._beside = [
            (stack, [(stack.beside[place], each.beside) for place, each in enumerate(own.layers) if each.beside])
            for own, stack in zip(self.stacks, self._filled(), strict=True)
        ]
        self._learning = [
            each
            for _, adapters in self._beside
            for each in (*(beside.lora_A for _, beside in adapters), *(beside.lora_B for _, beside in adapters))
        ]
        self._sizes = (N * 3)()

    def _filled(self) -> tuple[_Stack, ...]:
        return self._call.qkv, self._call.o, self._call.gate_up, self._call.down

    def forward(self, x: Tensor, positions: tuple[Tensor, Tensor], segments_N3: Ints) -> tuple[Tensor, Left]:
        """x [T, D] float32 → the block's output, float32, and what backward needs."""
        lib, call, sizes = library(), self._call, self._sizes
        assert lib is not None
        for _, adapters in self._beside:
            for into, beside in adapters:
                into.a, into.b = beside.lora_A.data_ptr(), beside.lora_B.data_ptr()
        call.T = len(x)
        lib.affina_block_sizes(ctypes.addressof(call), sizes)
        memory, aside = (torch.empty(size, dtype=torch.uint8) for size in sizes[:2])
        out, left = torch.empty_like(x), Left(self, x, memory, segments_N3, sizes[2])
        self._run("affina_block_forward", left, positions, aside, out)
        return out, left

    def backward(
        self, grad: Tensor, left: Left, positions: tuple[Tensor, Tensor], wants_input: bool
    ) -> tuple[Tensor | None, dict[Tensor, Tensor]]:
        """The gradient in x (None where it is not wanted) and in every adapter."""
        call = self._call
        counts = [each.numel() for each in self._learning]
        parts = torch.split(torch.empty(sum(counts)), counts)
        gradients: dict[Tensor, Tensor] = {
            each: part.view(each.shape) for each, part in zip(self._learning, parts, strict=True)
        }
        for (into, adapters), own in zip(self._beside, self.stacks, strict=True):
            into.back = _words(own.laid_back(torch.bfloat16))
            if adapters:
                into.grad_a = gradients[adapters[0][1].lora_A].data_ptr()
            for each, beside in adapters:
                each.grad_b = gradients[beside.lora_B].data_ptr()
        aside, dx = torch.empty(left.aside, dtype=torch.uint8), torch.empty_like(grad) if wants_input else None
        call.T, call.grad = len(grad), grad.data_ptr()
        self._run("affina_block_backward", left, positions, aside, dx)
        return dx, gradients

    def _run(self, name: str, left: Left, positions: tuple[Tensor, Tensor], aside: Tensor, out: Tensor | None) -> None:
        call = self._call
        call.cos, call.sin = (each.data_ptr() for each in positions)
        call.segments, call.count = left.segments_N3.ctypes.data, len(left.segments_N3)
        call.x, call.out = left.x.data_ptr(), None if out is None else out.data_ptr()
        call.kept, call.aside = left.memory.data_ptr(), aside.data_ptr()
        if getattr(library(), name)(ctypes.byref(call)):
            raise Failed("a block ran out of memory", instead="take fewer tokens per micro-batch")


def _stack(stack: Stack, bias: Tensor | None) -> _Stack:
    made = _Stack(_words(stack.laid_ahead(torch.bfloat16)), None, None if bias is None else bias.data_ptr())
    made.inputs, made.count = stack.layers[0].base.weight.shape[1], len(stack.layers)
    for place, (size, layer) in enumerate(zip(stack.sizes, stack.layers, strict=True)):
        made.sizes[place], made.beside[place].rank = size, layer.rank
        made.beside[place].scale = 0.0 if layer.beside is None else layer.beside.scale
    return made


def _words(product: object) -> int:
    assert isinstance(product, thin.Wide)
    return product.words.data_ptr()
