"""The attention of a block's turned heads, and what its backward pass needs."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from affina.engine.torch import attention, flash
from affina.engine.torch.fused.form import Form
from affina.engine.torch.fused.plain import Heads


@dataclass(slots=True)
class Attended:
    """The attention of turned heads, [T, H·W], and what its backward pass needs: a kernel's leavings or a graph."""

    out: Tensor
    heads: Tensor
    rule: flash.Rule
    left: tuple[flash.Saved, attention.Forest] | Tensor | None = None

    @classmethod
    def of(
        cls, turned: Tensor, form: Form, module: nn.Module, learns: bool, drops: tuple[int, int] = (0, 0)
    ) -> "Attended":
        """`turned` [T, (H + 2K)·W] holds queries, keys and values side by side. `drops`: so many parts in 2^16 of the
        weights, by a seed; kernels alone do that, and are to be had wherever something learns in bf16 or float32."""
        rule = replace(form.rule, parts=drops[0], seed=drops[1])
        heads, forest = turned.detach(), attention.current()
        parts = _side_by_side(heads, form.heads)
        if forest.kernels and flash.takes(*parts, rule):
            forest.calls += 1
            out, lse = flash.forward(*parts, forest.table(), rule)
            return cls(out.flatten(1), heads, rule, (flash.Saved(*parts, out, lse), forest))
        assert not rule.parts, "a graph draws anew when it is made again"
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
