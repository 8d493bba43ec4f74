"""A block for torch's tape: one function, whose backward pass the block writes out itself."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from affina.engine.torch import attention
from affina.engine.torch.fused.block import Block, How


class Fused(torch.autograd.Function):
    """A block as one function of its input and of every parameter that learns."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, block: Block, turns: tuple[Tensor, Tensor], how: How, *moving: Tensor) -> Tensor:
        _, again, *_ = how
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
        with torch.autocast(grad.device.type, enabled=False):  # as forward was
            if isinstance(kept, tuple):
                x, forest = kept
                with attention.resumed(forest):
                    _, kept = ctx.block.forward(x, ctx.turns, ctx.how, True)
            dx, found = ctx.block.backward(grad.contiguous(), kept, ctx.turns, ctx.needs_input_grad[0])
        return dx, None, None, None, *(_as(found[each], each.dtype) for each in ctx.moving)


def _as(grad: Tensor, dtype: torch.dtype) -> Tensor:
    return grad if grad.dtype == dtype else grad.to(dtype)
