"""A block whose halves both read its input, x + attention(n(x)) + inner(n'(x)), with its backward pass written out
(Wang and Komatsuzaki, 2021; Black et al., 2022); n and n' may be one norm."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from affina.engine.torch.fused.attended import Attended
from affina.engine.torch.fused.block import (
    NO_SEEDS,
    Block,
    Gradients,
    Half,
    Halves,
    How,
    is_learning,
    left,
    operations,
    spread,
    taken,
)
from affina.engine.torch.fused.plain import AS_IS, Thin, Turns
from affina.engine.torch.fused.products import Input


@dataclass(slots=True)
class KeptBeside:
    """What one forward pass leaves for the backward pass."""

    x: Tensor
    rstd: Tensor
    """One over the root of what the norm before the attention divides by; `rstd_inner` of the inner layers' norm."""
    rstd_inner: Tensor
    attended: Attended
    gates: Tensor
    inputs: list[Input]
    dropped: Halves
    read: Tensor | None


class Parallel(Block):
    """`norms.before` is of what the attention reads, `norms.middle` of what the inner layers do, where that is
    another."""

    at_a_call = False

    def forward(self, x: Tensor, positions: tuple[Tensor, Tensor], how: How, learns: bool) -> tuple[Tensor, Any]:
        dtype, _, read, seeds = how
        form, ops, norms = self.form, operations(dtype), self._norms(x.dtype)
        assert norms.before is not None
        of = seeds or NO_SEEDS
        normed, rstd = ops.normed(x, norms.before, dtype)
        y, qkv = self.qkv.forward(normed, of[0])
        turns = Turns(form.heads, None, *positions)
        turned, _ = ops.heads(y, self.qkv.bias(x.dtype), (qkv.after[0], qkv.after[1], qkv.after[2]), turns)
        attended = Attended.of(turned, form, self.attention, learns, self.weights(of))
        y, o = self.o.forward(taken(attended.out, read), of[1])
        dropped = self.dropped(of, y)
        out, *_ = self._added(taken(x, read), Half(y, self.o.bias(x.dtype), o.after[0], AS_IS, dropped[0]), None)
        inner, rstd_inner = taken(normed, read), taken(rstd, read)
        if norms.middle is not None:
            inner, rstd_inner = ops.normed(taken(x, read), norms.middle, dtype)
        gates, gate_up = self.gate_up.forward(inner, of[2])
        halves = (gate_up.after[0], gate_up.after[1] if form.act.gated else None)
        y, down = self.down.forward(ops.gated(gates, self.gate_up.bias(x.dtype), *halves, form.act), of[3])
        out, *_ = self._added(out, Half(y, self.down.bias(x.dtype), down.after[0], AS_IS, dropped[1]), None)
        down.x = down.x.new_empty(0)  # computed again from the gates
        inputs = [qkv, o, gate_up, down]
        return spread(out, read, len(x)), KeptBeside(x, rstd, rstd_inner, attended, gates, inputs, dropped, read)

    def backward(
        self, grad: Tensor, kept: Any, positions: tuple[Tensor, Tensor], wants_input: bool
    ) -> tuple[Tensor | None, Gradients]:
        assert isinstance(kept, KeptBeside)
        dtype, found = kept.gates.dtype, Gradients()
        ops, (qkv, o, gate_up, down) = operations(dtype), kept.inputs
        grad = taken(grad, kept.read)
        cast = grad.to(dtype)
        arriving = self._inner_backward(left(cast, kept.dropped[1]), kept.gates, (gate_up, down), found)
        grad = self._before(taken(kept.x, kept.read), kept.rstd_inner, arriving, grad, found, inner=True)
        dx = self._output_backward(left(cast, kept.dropped[0]), o, found)
        grad, dx = (spread(each, kept.read, len(kept.x)) for each in (grad, dx))
        dz = kept.attended.backward(dx, self.form.heads)
        ops.heads_backward(dz, (dz, dz), Turns(self.form.heads, None, *positions), False)
        if not wants_input and not is_learning(self.norms.before):
            self.qkv.learn(dz, qkv, self.qkv.low(dz, qkv), found)
            return None, found
        dx, low, after = self.qkv.backward(dz, qkv)
        self.qkv.learn(dz, qkv, low, found)
        return self._before(kept.x, kept.rstd, (dx, after), grad, found, inner=False), found

    def _before(
        self,
        x: Tensor,
        rstd: Tensor,
        arriving: tuple[Tensor, Thin | None],
        grad: Tensor,
        found: Gradients,
        inner: bool,
    ) -> Tensor:
        """`grad` and what arrives through the norm of a half; a norm of both halves learns from each."""
        norms, own = self._norms(grad.dtype), inner and self.norms.middle is not None
        norm, module = (norms.middle, self.norms.middle) if own else (norms.before, self.norms.before)
        new = Gradients()
        out, _ = self._through(norm, module, (x, rstd), arriving, grad, new)
        for each, learnt in new.items():
            found[each] = found[each] + learnt if each in found else learnt
        return out
