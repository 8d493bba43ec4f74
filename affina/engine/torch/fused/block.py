"""A block, whole: x + attention(x), then + inner(·), norms before each, after each or both, with its backward
pass written out.

The residual stream and every low-rank sum are float32 (float64 where the weights are); products are in the dtype of
the network. Nothing is kept that is cheap to compute again. Radford et al. (2019), Touvron et al. (2023), Gemma Team
(2024) and OLMo Team (2024) describe such blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from affina.engine.torch import attention
from affina.engine.torch.dropped import Dropped, threshold
from affina.engine.torch.fused import compiled, passes
from affina.engine.torch.fused.attended import Attended
from affina.engine.torch.fused.drops import Drops
from affina.engine.torch.fused.form import Form
from affina.engine.torch.fused.norms import Norms, norm_of
from affina.engine.torch.fused.passes import Left, Passes
from affina.engine.torch.fused.plain import Join, Norm, Plain, Thin, Turns, summed
from affina.engine.torch.fused.products import Input, Stack

PLAIN = Plain()
Gradients = dict[Tensor, Tensor]


@dataclass(slots=True)
class Kept:
    """What one forward pass leaves for the backward pass."""

    before: tuple[Tensor, Tensor | None]
    """The residual stream, and one over the root of what its norm divides by, where there is a norm."""
    attended: Attended
    turned: tuple[Tensor, Tensor]
    joined: tuple[Tensor, Tensor] | None
    middle: tuple[Tensor, Tensor | None]
    gates: Tensor
    made: tuple[Tensor, Tensor] | None
    inputs: list[Input]
    read: Tensor | None
    """The rows that what follows the attention was computed for; None: all."""
    dropped: "Halves"


class Half(NamedTuple):
    """What a half gave: y, its bias, what is left of its low-rank product; how it is joined, and what of it stays."""

    y: Tensor
    bias: Tensor | None
    low: Thin | None
    join: Join
    dropped: Dropped | None


class Block:
    """The parameters of a block and its computation."""

    at_a_call: ClassVar[bool] = True
    """Whether there is a kernel for a whole pass of it."""

    def __init__(
        self, form: Form, attention: nn.Module, stacks: tuple[Stack, ...], norms: Norms[nn.Module], drops: Drops
    ) -> None:
        self.form, self.attention, self.drops = form, attention, drops
        self.qkv, self.o, self.gate_up, self.down = stacks
        self.norms = norms
        self.stacks, self._layers = stacks, [layer for stack in stacks for layer in stack.layers]
        self._passes = Passes(form, stacks) if self.at_a_call and passes.takes(form.heads, form.rule, stacks) else None

    def parameters(self) -> Iterator[Tensor]:
        """Every parameter of the block, in a fixed order."""
        for norm in self.norms.all():
            yield from norm.parameters()
        for stack in (self.qkv, self.o, self.gate_up, self.down):
            yield from stack.parameters()

    def seeds(self) -> "Seeds":
        """Of the stacks' adapters, then of what `drops` says; drawn anew for a pass in which anything is left out."""
        shares = *(stack.share for stack in self.stacks), *self.drops.shares()
        return tuple(torch.randint(2**63 - 1, (len(shares),)).tolist()) if any(shares) else ()

    def passes(self, how: "How") -> Passes | None:
        """The block as one call a pass, where nothing but adapters learns and every row is wanted; else None."""
        dtype, _, read, seeds = how
        if dtype != torch.bfloat16 or read is not None or not attention.current().kernels:
            return None
        if seeds and (any(self.drops.shares()) or not all(stack.within for stack in self.stacks)):
            return None
        fixed = [each for norm in self.norms.all() for each in norm.parameters()]
        fixed += [each for layer in self._layers for each in (layer.base.weight, layer.base.bias) if each is not None]
        if any(each.requires_grad for each in fixed) or not passes.reads(self._layers):
            return None
        return self._passes

    def forward(self, x: Tensor, positions: tuple[Tensor, Tensor], how: "How", learns: bool) -> tuple[Tensor, Any]:
        """x [T, D] wide → the block's output, wide, and what backward needs. `positions`: cos and sin [T, as many of a
        head's numbers as are turned], wide."""
        if (whole := self.passes(how)) is not None:
            forest = attention.current()
            forest.calls += 1
            return whole.forward(self, x, positions, forest.table(), how[3][: len(self.stacks)])
        dtype, _, read, seeds = how
        form, ops, norms = self.form, operations(dtype), self._norms(x.dtype)
        normed, rstd = ops.normed(x, norms.before, dtype) if norms.before is not None else (x.to(dtype), None)
        of = seeds or NO_SEEDS
        y, qkv = self.qkv.forward(normed, of[0])
        turns = Turns(form.heads, _pair(norms), *positions)
        turned, rstd_heads = ops.heads(y, self.qkv.bias(x.dtype), (qkv.after[0], qkv.after[1], qkv.after[2]), turns)
        attended = Attended.of(turned, form, self.attention, learns, self.weights(of))
        y_o, o = self.o.forward(taken(attended.out, read), of[1])
        dropped = self.dropped(of, y_o)
        half = Half(y_o, self.o.bias(x.dtype), o.after[0], Join(form.times, norms.attended), dropped[0])
        middle, inner, rstd_middle, rstd_o = self._added(taken(x, read), half, norms.middle)
        gates, gate_up = self.gate_up.forward(middle.to(dtype) if inner is None else inner, of[2])
        halves = (gate_up.after[0], gate_up.after[1] if form.act.gated else None)
        inner = ops.gated(gates, self.gate_up.bias(x.dtype), *halves, form.act)
        y_d, down = self.down.forward(inner, of[3])
        half = Half(y_d, self.down.bias(x.dtype), down.after[0], Join(form.times, norms.made), dropped[1])
        out, _, _, rstd_d = self._added(middle, half, None)
        down.x = down.x.new_empty(0)  # computed again from the gates
        joined, made = ((each, scale) if scale is not None else None for each, scale in ((y_o, rstd_o), (y_d, rstd_d)))
        inputs = [qkv, o, gate_up, down]
        stream = (middle, rstd_middle)
        kept = Kept((x, rstd), attended, (y, rstd_heads), joined, stream, gates, made, inputs, read, dropped)
        return spread(out, read, len(x)), kept

    def backward(
        self, grad: Tensor, kept: Any, positions: tuple[Tensor, Tensor], wants_input: bool
    ) -> tuple[Tensor | None, Gradients]:
        """The gradient in x (None where it is not wanted) and in every parameter that learns. Uses `kept` up."""
        if isinstance(kept, Left):
            assert self._passes is not None
            return self._passes.backward(self, grad, kept, positions, wants_input)
        assert isinstance(kept, Kept)
        dtype, found, norms = kept.gates.dtype, Gradients(), self._norms(grad.dtype)
        ops, (qkv, o, gate_up, down) = operations(dtype), kept.inputs
        grad = taken(grad, kept.read)
        cast = left(self._apart(grad, norms.made, self.norms.made, kept.made, dtype, found), kept.dropped[1])
        arriving = self._inner_backward(cast, kept.gates, (gate_up, down), found)
        grad, cast = self._through(norms.middle, self.norms.middle, kept.middle, arriving, grad, found)
        if not Join(self.form.times, norms.attended).plain:
            cast = self._apart(grad, norms.attended, self.norms.attended, kept.joined, dtype, found)
        dx = self._output_backward(left(cast, kept.dropped[0]), o, found)
        grad, dx = (spread(each, kept.read, len(kept.before[0])) for each in (grad, dx))
        dz = kept.attended.backward(dx, self.form.heads)
        turns = Turns(self.form.heads, _pair(norms), *positions)
        places = (self.norms.query, self.norms.key)
        weights = [parameter for each in places if each is not None for parameter in each.parameters()]
        learnt = ops.heads_backward(dz, kept.turned, turns, any(each.requires_grad for each in weights))
        found |= dict(zip(weights, learnt, strict=False))
        if not wants_input and not is_learning(self.norms.before):
            self.qkv.learn(dz, qkv, self.qkv.low(dz, qkv), found)
            return None, found
        dx, low, after = self.qkv.backward(dz, qkv)
        self.qkv.learn(dz, qkv, low, found)
        grad, _ = self._through(norms.before, self.norms.before, kept.before, (dx, after), grad, found)
        return grad, found

    def _inner_backward(
        self, dy: Tensor, gates: Tensor, inputs: tuple[Input, Input], found: Gradients
    ) -> tuple[Tensor, Thin | None]:
        """The gradient in what the inner layers read, from that in what they gave; what of it is still to be added."""
        gate_up, down = inputs
        dx, low, after = self.down.backward(dy, down)
        down.x = operations(gates.dtype).gated_backward(gates, dx, after, self.form.act)
        self.down.learn(dy, down, low, found)
        dx, low, after = self.gate_up.backward(gates, gate_up)
        self.gate_up.learn(gates, gate_up, low, found)
        return dx, after

    def _output_backward(self, dy: Tensor, o: Input, found: Gradients) -> Tensor:
        """The gradient in the attention's heads, from that in its output."""
        dx, low, after = self.o.backward(dy, o)
        self.o.learn(dy, o, low, found)
        if after is not None:
            operations(dy.dtype).add_low(dx, after)
        return dx

    def weights(self, seeds: "Seeds | NoSeeds") -> tuple[int, int]:
        """How many parts of the attention's weights are dropped now, and by what seed."""
        seed = seeds[4]
        return (0, 0) if seed is None else (threshold(self.drops.shares()[0]), seed)

    def dropped(self, seeds: "Seeds | NoSeeds", y: Tensor) -> "Halves":
        """What is left out of the attention's output and the inner layers', of y's shape both."""
        shares = self.drops.shares()[1:]
        attended, made = (
            Dropped.of(seed, len(y), y.shape[1], share) if share and seed is not None else None
            for share, seed in zip(shares, seeds[5:], strict=True)
        )
        return attended, made

    @staticmethod
    def _added(
        residual: Tensor, half: "Half", norm: Norm | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """The residual stream with a half's output, or with what is left of it; see `Plain.add_residual`."""
        y, bias, low, join, dropped = half
        ops = operations(y.dtype)
        if dropped is None:
            return ops.add_residual(residual, y, bias, low, norm, join)
        assert join.norm is None, "of families that drop a half's output none has a norm after it"
        out = residual + dropped(summed(y, bias, low)) * join.times
        return (out, *ops.normed(out, norm, y.dtype), None) if norm is not None else (out, None, None, None)

    def _norms(self, dtype: torch.dtype) -> Norms[Norm]:
        return self.norms.of(lambda each: norm_of(each, dtype))

    def _apart(
        self,
        grad: Tensor,
        norm: Norm | None,
        module: nn.Module | None,
        kept: tuple[Tensor, Tensor] | None,
        dtype: torch.dtype,
        found: Gradients,
    ) -> Tensor:
        """The gradient in what a half gave, in `dtype`, from that in the residual stream it was joined to."""
        join = Join(self.form.times, norm)
        if join.plain:
            return grad.to(dtype)
        cast, learnt = operations(dtype).join_backward(grad, join, kept, dtype, is_learning(module))
        if learnt is not None and module is not None:
            found[module.weight] = learnt  # type: ignore[index]
        return cast

    @staticmethod
    def _through(
        norm: Norm | None,
        module: nn.Module | None,
        kept: tuple[Tensor, Tensor | None],
        arriving: tuple[Tensor, Thin | None],
        grad: Tensor,
        found: Gradients,
    ) -> tuple[Tensor, Tensor]:
        """The gradient before a norm, where there is one, added to `grad`, and the same for products."""
        ops, (x, rstd), (dy, low) = operations(arriving[0].dtype), kept, arriving
        if norm is None or module is None or rstd is None:
            out, *_ = ops.add_residual(grad, dy, None, low, None)
            return out, out.to(dy.dtype)
        out, cast, learnt = ops.norm_backward((x, rstd), norm, arriving, grad, is_learning(module))
        found |= dict(zip(module.parameters(), learnt, strict=False))
        return out, cast


def taken(rows: Tensor, read: Tensor | None) -> Tensor:
    return rows if read is None else rows[read]


def spread(rows: Tensor, read: Tensor | None, size: int) -> Tensor:
    """[size, …]: the rows at their places, 0 elsewhere."""
    return rows if read is None else rows.new_zeros(size, *rows.shape[1:]).index_copy_(0, read, rows)


def left(grad: Tensor, dropped: Dropped | None) -> Tensor:
    return grad if dropped is None else dropped(grad)


def _pair(norms: Norms[Norm]) -> tuple[Norm, Norm] | None:
    return None if norms.query is None or norms.key is None else (norms.query, norms.key)


def is_learning(module: nn.Module | None) -> bool:
    return module is not None and any(each.requires_grad for each in module.parameters())


Seeds = tuple[int, ...]
"""Of what the adapters beside each stack leave out, and what `Drops` says; none where nothing is left out."""
NoSeeds = tuple[None, ...]
NO_SEEDS: NoSeeds = (None,) * 7
Halves = tuple[Dropped | None, Dropped | None]
"""What is left out of the attention's output and of the inner layers'."""
How = tuple[torch.dtype, bool, Tensor | None, Seeds]
"""The dtype of products; whether backward computes the block again instead of keeping it; the rows read after it; the
seeds."""


def operations(dtype: torch.dtype) -> Plain:
    return compiled.operations(dtype) or PLAIN
