"""A pre-norm decoder block, whole: x + attention(norm(x)), then + mlp(norm(·)), with its backward pass written out.

The residual stream and every low-rank sum are float32 (float64 where the weights are); products are in the dtype of
the network. Nothing is kept that is cheap to compute again. Touvron et al. (2023) describe the block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from affina.engine.torch import attention, flash
from affina.engine.torch.fused import compiled, passes
from affina.engine.torch.fused.passes import Left, Passes
from affina.engine.torch.fused.plain import Heads, Norm, Plain, Thin, Turns
from affina.engine.torch.fused.products import Input, Stack
from affina.engine.torch.norms import RootMeanSquare

PLAIN = Plain()
Gradients = dict[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Form:
    """What a family's block is, beside its weights."""

    heads: Heads
    gelu: bool
    attends: dict[str, Any]
    """How the block's attention calls its function: scaling, sliding_window, softcap."""

    @property
    def rule(self) -> flash.Rule:
        """The same for the kernels."""
        scale, window, softcap = (self.attends.get(name) for name in ("scaling", "sliding_window", "softcap"))
        return flash.Rule(self.heads.width**-0.5 if scale is None else scale, True, window, softcap)


@dataclass(slots=True)
class Kept:
    """What one forward pass leaves for the backward pass."""

    x: Tensor
    rstd: Tensor
    attended: "Attended"
    turned: tuple[Tensor, Tensor]
    middle: Tensor
    rstd_middle: Tensor
    gates: Tensor
    inputs: list[Input]
    read: Tensor | None
    """The rows that what follows the attention was computed for; None: all."""


class Block:
    """The parameters of a block and its computation."""

    def __init__(
        self, form: Form, attention: nn.Module, stacks: tuple[Stack, ...], norms: tuple[RootMeanSquare, ...]
    ) -> None:
        self.form, self.attention = form, attention
        self.qkv, self.o, self.gate_up, self.down = stacks
        self.norms = norms  # before attention, before the mlp; then, where there are, of queries and of keys
        self.stacks, self._layers = stacks, [layer for stack in stacks for layer in stack.layers]
        self._passes = Passes(form, stacks) if passes.takes(form.heads, form.rule) else None

    def parameters(self) -> Iterator[Tensor]:
        """Every parameter of the block, in a fixed order."""
        for norm in self.norms:
            yield from norm.parameters()
        for stack in (self.qkv, self.o, self.gate_up, self.down):
            yield from stack.parameters()

    def passes(self, how: "How") -> Passes | None:
        """The block as one call a pass, where nothing but adapters learns and every row is wanted; else None."""
        dtype, _, read = how
        if dtype != torch.bfloat16 or read is not None or not attention.current().kernels:
            return None
        fixed = [norm.weight for norm in self.norms]
        fixed += [each for layer in self._layers for each in (layer.base.weight, layer.base.bias) if each is not None]
        if any(each.requires_grad for each in fixed) or not passes.reads(self._layers):
            return None
        return self._passes

    def norm(self, place: int, dtype: torch.dtype) -> Norm:
        """The weight as it multiplies, in `dtype`."""
        norm = self.norms[place]
        return Norm(norm.weight.detach().to(dtype) + norm.offset, norm.variance_epsilon)

    def forward(
        self, x: Tensor, positions: tuple[Tensor, Tensor], how: "How", learns: bool
    ) -> tuple[Tensor, "Kept | Left"]:
        """x [T, D] wide → the block's output, wide, and what backward needs. `positions`: cos and sin [T, W], wide."""
        if (whole := self.passes(how)) is not None:
            forest = attention.current()
            forest.calls += 1
            return whole.forward(self, x, positions, forest.table())
        dtype, _, read = how
        form, ops = self.form, _operations(dtype)
        normed, rstd = ops.rms_norm(x, self.norm(0, x.dtype), dtype)
        y, qkv = self.qkv.forward(normed)
        turns = Turns(form.heads, self._head_norms(x.dtype), *positions)
        turned, rstd_heads = ops.heads(y, self.qkv.bias(x.dtype), (qkv.after[0], qkv.after[1], qkv.after[2]), turns)
        attended = Attended.of(turned, form, self.attention, learns)
        y_o, o = self.o.forward(_taken(attended.out, read))
        middle, inner, rstd_middle = ops.add_residual(
            _taken(x, read), y_o, self.o.bias(x.dtype), o.after[0], self.norm(1, x.dtype)
        )
        assert inner is not None and rstd_middle is not None
        gates, gate_up = self.gate_up.forward(inner)
        inner = ops.gated(gates, self.gate_up.bias(x.dtype), gate_up.after[0], gate_up.after[1], form.gelu)
        y_d, down = self.down.forward(inner)
        out, _, _ = ops.add_residual(middle, y_d, self.down.bias(x.dtype), down.after[0], None)
        down.x = down.x.new_empty(0)  # computed again from the gates
        inputs = [qkv, o, gate_up, down]
        kept = Kept(x, rstd, attended, (y, rstd_heads), middle, rstd_middle, gates, inputs, read)
        return _spread(out, read, len(x)), kept

    def backward(
        self, grad: Tensor, kept: "Kept | Left", positions: tuple[Tensor, Tensor], wants_input: bool
    ) -> tuple[Tensor | None, Gradients]:
        """The gradient in x (None where it is not wanted) and in every parameter that learns. Uses `kept` up."""
        if isinstance(kept, Left):
            assert self._passes is not None
            return self._passes.backward(self, grad, kept, positions, wants_input)
        dtype, found = kept.gates.dtype, Gradients()
        ops, (qkv, o, gate_up, down) = _operations(dtype), kept.inputs
        grad = _taken(grad, kept.read)
        cast = grad.to(dtype)
        dx, low, after = self.down.backward(cast, down)
        down.x = ops.gated_backward(kept.gates, dx, after, self.form.gelu)
        self.down.learn(cast, down, low, found)
        dx, low, after = self.gate_up.backward(kept.gates, gate_up)
        self.gate_up.learn(kept.gates, gate_up, low, found)
        grad, cast, learnt = self._through_norm(1, (kept.middle, kept.rstd_middle), (dx, after), grad)
        found |= learnt
        dx, low, after = self.o.backward(cast, o)
        self.o.learn(cast, o, low, found)
        if after is not None:
            ops.add_low(dx, after)
        grad, dx = (_spread(each, kept.read, len(kept.x)) for each in (grad, dx))
        dz = kept.attended.backward(dx, self.form.heads)
        turns = Turns(self.form.heads, self._head_norms(grad.dtype), *positions)
        weights = ops.heads_backward(dz, kept.turned, turns)
        found |= dict(zip((norm.weight for norm in self.norms[2:]), () if weights is None else weights, strict=True))
        if not wants_input and not any(each.requires_grad for each in self.norms[0].parameters()):
            self.qkv.learn(dz, qkv, self.qkv.low(dz, qkv), found)
            return None, found
        dx, low, after = self.qkv.backward(dz, qkv)
        self.qkv.learn(dz, qkv, low, found)
        grad, _, learnt = self._through_norm(0, (kept.x, kept.rstd), (dx, after), grad)
        return grad, found | learnt

    def _through_norm(
        self, place: int, kept: tuple[Tensor, Tensor], arriving: tuple[Tensor, Thin | None], grad: Tensor
    ) -> tuple[Tensor, Tensor, Gradients]:
        """The gradient before a norm added to `grad`, the same for products, and that in the norm's weight."""
        norm, weight = self.norm(place, grad.dtype), self.norms[place].weight
        ops = _operations(arriving[0].dtype)
        out, cast, learnt = ops.norm_backward(kept, norm, arriving, grad, weight.requires_grad)
        return out, cast, {} if learnt is None else {weight: learnt}

    def _head_norms(self, dtype: torch.dtype) -> tuple[Norm, Norm] | None:
        return (self.norm(2, dtype), self.norm(3, dtype)) if len(self.norms) > 2 else None


@dataclass(slots=True)
class Attended:
    """The attention of turned heads, [T, H·W], and what its backward pass needs: a kernel's leavings or a graph."""

    out: Tensor
    heads: Tensor
    rule: flash.Rule
    left: tuple[flash.Saved, attention.Forest] | Tensor | None = None

    @classmethod
    def of(cls, turned: Tensor, form: Form, module: nn.Module, learns: bool) -> "Attended":
        """`turned` [T, (H + 2K)·W] holds queries, keys and values side by side."""
        rule = form.rule
        heads, forest = turned.detach(), attention.current()
        parts = _side_by_side(heads, form.heads)
        if forest.kernels and flash.takes(*parts, rule):
            forest.calls += 1
            out, lse = flash.forward(*parts, forest.table(), rule)
            return cls(out.flatten(1), heads, rule, (flash.Saved(*parts, out, lse), forest))
        with torch.set_grad_enabled(learns):
            heads.requires_grad_(learns)
            query, key, value = (part[None].transpose(1, 2) for part in _side_by_side(heads, form.heads))
            made, _ = attention.forest_attention(module, query, key, value, None, **form.attends)
            flat = made.reshape(len(heads), -1)
        return cls(flat.detach(), heads, rule, flat if learns else None)

    def backward(self, grad: Tensor, shape: Heads) -> Tensor:
        """[T, (H + 2K)·W]: the gradient in the turned heads."""
        if isinstance(self.left, tuple):
            (saved, forest), found = self.left, torch.empty_like(self.heads)
            into = flash.Gradients(*_side_by_side(found, shape))
            flash.backward(grad.view(saved.out.shape), saved, into, forest.table(), self.rule)
            return found
        assert self.left is not None
        return torch.autograd.grad(self.left, self.heads, grad)[0]


def _side_by_side(heads: Tensor, shape: Heads) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [T, H, W], keys and values [T, K, W]: views of [T, (H + 2K)·W]."""
    first, second = shape.queries, shape.queries + shape.keys
    whole = heads.view(len(heads), -1, shape.width)
    return whole[:, :first], whole[:, first:second], whole[:, second:]


def _taken(rows: Tensor, read: Tensor | None) -> Tensor:
    return rows if read is None else rows[read]


def _spread(rows: Tensor, read: Tensor | None, size: int) -> Tensor:
    """[size, …]: the rows at their places, 0 elsewhere."""
    return rows if read is None else rows.new_zeros(size, *rows.shape[1:]).index_copy_(0, read, rows)


How = tuple[torch.dtype, bool, Tensor | None]
"""The dtype of products; whether backward computes the block again instead of keeping it; the rows read after it."""


class Fused(torch.autograd.Function):
    """A block as one function of its input and of every parameter that learns."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, block: Block, turns: tuple[Tensor, Tensor], how: How, *moving: Tensor) -> Tensor:
        _, again, _ = how
        learns = any(ctx.needs_input_grad)
        out, kept = block.forward(x, turns, how, learns and not again)
        if learns:
            ctx.block, ctx.turns, ctx.moving, ctx.how = block, turns, moving, how
            ctx.kept = (x, attention.current()) if again else kept
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        kept, ctx.kept = ctx.kept, None
        if isinstance(kept, tuple):
            x, forest = kept
            with attention.resumed(forest):
                _, kept = ctx.block.forward(x, ctx.turns, ctx.how, True)
        dx, found = ctx.block.backward(grad.contiguous(), kept, ctx.turns, ctx.needs_input_grad[0])
        return dx, None, None, None, *(found[each].to(each.dtype) for each in ctx.moving)


def _operations(dtype: torch.dtype) -> Plain:
    return compiled.operations(dtype) or PLAIN
