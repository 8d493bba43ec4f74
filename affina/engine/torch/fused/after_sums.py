"""A block whose norms come after the residual sums, x → n(x + attention(x)) → n(· + inner(·)), with its backward pass
written out and all that it drops in training (BERT, Devlin et al., 2019)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from affina.engine.torch.dropped import Dropped
from affina.engine.torch.fused.attended import Attended
from affina.engine.torch.fused.block import (
    NO_SEEDS,
    Block,
    Gradients,
    Halves,
    How,
    is_learning,
    operations,
    spread,
    taken,
)
from affina.engine.torch.fused.norms import norm_of
from affina.engine.torch.fused.plain import Arriving, Norm, Turns
from affina.engine.torch.fused.products import Input


@dataclass(slots=True)
class KeptSums:
    """What one forward pass leaves for the backward pass."""

    attended: Attended
    middle: tuple[Tensor, Tensor]
    """The sums that the first norm read, and one over the root of what it divides by; of the second `made`."""
    gates: Tensor
    made: tuple[Tensor, Tensor]
    inputs: list[Input]
    dropped: Halves
    read: Tensor | None
    size: int


class AfterSums(Block):
    """`norms.attended` and `norms.made` are of the sums; `drops` leave out attention weights and halves' outputs."""

    at_a_call = False

    def forward(self, x: Tensor, positions: tuple[Tensor, Tensor], how: How, learns: bool) -> tuple[Tensor, Any]:
        dtype, _, read, seeds = how
        form, ops = self.form, operations(dtype)
        first, second = self._pair(x.dtype)
        of = seeds or NO_SEEDS
        y, qkv = self.qkv.forward(x.to(dtype), of[0])
        turns = Turns(form.heads, None, *positions)
        heads, _ = ops.heads(y, self.qkv.bias(x.dtype), (qkv.after[0], qkv.after[1], qkv.after[2]), turns)
        attended = Attended.of(heads, form, self.attention, learns, self.weights(of))
        y, o = self.o.forward(taken(attended.out, read), of[1])
        dropped = self.dropped(of, y)
        sums, wide, cast, rstd = ops.add_norm(taken(x, read), y, self.o.bias(x.dtype), o.after[0], first, dropped[0])
        gates, gate_up = self.gate_up.forward(cast, of[2])
        inner = ops.gated(gates, self.gate_up.bias(x.dtype), gate_up.after[0], None, form.act)
        y, down = self.down.forward(inner, of[3])
        made, out, _, rstd_made = ops.add_norm(wide, y, self.down.bias(x.dtype), down.after[0], second, dropped[1])
        down.x = down.x.new_empty(0)  # computed again from the gates
        kept = KeptSums(
            attended, (sums, rstd), gates, (made, rstd_made), [qkv, o, gate_up, down], dropped, read, len(x)
        )
        return spread(out, read, len(x)), kept

    def backward(
        self, grad: Tensor, kept: Any, positions: tuple[Tensor, Tensor], wants_input: bool
    ) -> tuple[Tensor | None, Gradients]:
        assert isinstance(kept, KeptSums)
        dtype, found = kept.gates.dtype, Gradients()
        ops, (qkv, o, gate_up, down) = operations(dtype), kept.inputs
        first, second = self._pair(grad.dtype)
        arriving = Arriving(taken(grad, kept.read), None, None, dtype)
        grad, cast = self._norm_backward(second, self.norms.made, kept.made, arriving, kept.dropped[1], found)
        arriving = Arriving(grad, *self._inner_backward(cast, kept.gates, (gate_up, down), found), dtype)
        grad, cast = self._norm_backward(first, self.norms.attended, kept.middle, arriving, kept.dropped[0], found)
        dx = self._output_backward(cast, o, found)
        grad, dx = (spread(each, kept.read, kept.size) for each in (grad, dx))
        dz = kept.attended.backward(dx, self.form.heads)
        if not wants_input:
            self.qkv.learn(dz, qkv, self.qkv.low(dz, qkv), found)
            return None, found
        dx, low, after = self.qkv.backward(dz, qkv)
        self.qkv.learn(dz, qkv, low, found)
        out, *_ = ops.add_residual(grad, dx, None, after, None)
        return out, found

    def _pair(self, dtype: torch.dtype) -> tuple[Norm, Norm]:
        assert self.norms.attended is not None and self.norms.made is not None
        return norm_of(self.norms.attended, dtype), norm_of(self.norms.made, dtype)

    @staticmethod
    def _norm_backward(
        norm: Norm,
        module: nn.Module | None,
        kept: tuple[Tensor, Tensor],
        arriving: Arriving,
        dropped: Dropped | None,
        found: Gradients,
    ) -> tuple[Tensor, Tensor]:
        """The gradient in the sums before a norm, and in the half's output that was added to them."""
        assert module is not None
        ops = operations(arriving.dtype)
        out, cast, learnt = ops.add_norm_backward(kept, norm, arriving, dropped, is_learning(module))
        found |= dict(zip(module.parameters(), learnt, strict=False))
        return out, cast
