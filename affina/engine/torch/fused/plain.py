"""What stands between a block's matrix products, in torch alone: the definition that the compiled kernels are held to.

Shapes: T rows, D width, I inner width, R rank; a row of heads is [H queries | K keys | K values] of width W each.
Sums and statistics are at least float32; what is returned for products has the storage dtype given.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Thin(NamedTuple):
    """A low-rank product to be added on the way: u_TR · b_RN, `b` float32 (or float64) and already scaled."""

    u: Tensor
    b: Tensor


class Norm(NamedTuple):
    """An RMS norm: weight_D as it multiplies (float32 or float64), and what keeps the root from zero."""

    weight: Tensor
    eps: float


@dataclass(frozen=True, slots=True)
class Heads:
    """Query heads, key (and value) heads, their width; the norms of queries and keys where the family has them."""

    queries: int
    keys: int
    width: int


class Turns(NamedTuple):
    """How rows of heads are turned: norms of queries and keys where there are, and cos_TW, sin_TW of the positions."""

    heads: Heads
    norms: tuple[Norm, Norm] | None
    cos: Tensor
    sin: Tensor


def wide(tensor: Tensor) -> Tensor:
    """At least float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def summed(y: Tensor, bias: Tensor | None, low: Thin | None) -> Tensor:
    """y (+ bias) (+ low-rank product), wide."""
    y = wide(y)
    if bias is not None:
        y = y + bias
    return y if low is None else y + wide(low.u) @ low.b


class Plain:
    """The operations in torch, for any dtype."""

    def rms_norm(self, x: Tensor, norm: Norm, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """x_TD → its norm in `dtype`, and 1/root-mean-square [T]."""
        rstd = torch.rsqrt(x.square().mean(-1) + norm.eps)
        return (x * rstd[:, None] * norm.weight).to(dtype), rstd

    def add_residual(
        self, residual: Tensor, y: Tensor, bias: Tensor | None, low: Thin | None, norm: Norm | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """residual + y + bias + low-rank; where a norm is given also its output in y's dtype, and rstd."""
        out = residual + summed(y, bias, low)
        return (out, *self.rms_norm(out, norm, y.dtype)) if norm is not None else (out, None, None)

    def norm_backward(
        self, kept: tuple[Tensor, Tensor], norm: Norm, arriving: tuple[Tensor, Thin | None], grad: Tensor, learns: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The gradient in x added to `grad`; the same in dy's dtype; the weight's gradient where it learns.

        `kept` is x and rstd; `arriving` the gradient dy in the norm's output and a low-rank part of it.
        """
        (x, rstd), (dy, low) = kept, arriving
        d, scaled = summed(dy, None, low), x * rstd[:, None]
        mean = (d * norm.weight * scaled).mean(-1, keepdim=True)
        out = grad + rstd[:, None] * (d * norm.weight - scaled * mean)
        return out, out.to(dy.dtype), (d * scaled).sum(0) if learns else None

    def add_low(self, y: Tensor, low: Thin) -> None:
        """y gains the low-rank product, rounded once."""
        y.copy_(summed(y, None, low))

    def gated(self, y: Tensor, bias: Tensor | None, gate: Thin | None, up: Thin | None, gelu: bool) -> Tensor:
        """y_T2I = [gate | up] becomes its sums with bias and low-rank; returns act(gate) · up [T, I]."""
        half = y.shape[1] // 2
        biases = (None, None) if bias is None else (bias[:half], bias[half:])
        g, u = summed(y[:, :half], biases[0], gate), summed(y[:, half:], biases[1], up)
        y[:, :half], y[:, half:] = g, u
        return (_act(g, gelu) * u).to(y.dtype)

    def gated_backward(self, y: Tensor, dout: Tensor, low: Thin | None, gelu: bool) -> Tensor:
        """y's gate and up become their gradients; returns act(gate) · up once more."""
        half = y.shape[1] // 2
        d, g, u = summed(dout, None, low), wide(y[:, :half]), wide(y[:, half:])
        with torch.enable_grad():
            gate = g.detach().requires_grad_()
            value = _act(gate, gelu)
            (slope,) = torch.autograd.grad(value.sum(), gate)
        value = value.detach()
        again = (value * u).to(y.dtype)  # before y, of which u may be a view, is written
        y[:, :half], y[:, half:] = d * u * slope, d * value
        return again

    def heads(
        self,
        y: Tensor,
        bias: Tensor | None,
        lows: tuple[Thin | None, Thin | None, Thin | None],
        turns: Turns,
    ) -> tuple[Tensor, Tensor]:
        """Rows of heads: sums, norms where given, rotary positions; out in y's dtype, rstd [T, H + K].

        With norms y keeps the sums, which `heads_backward` needs.
        """
        shape, norms, cos, sin = turns
        edges = (0, shape.queries * shape.width, (shape.queries + shape.keys) * shape.width, y.shape[1])
        parts = [
            summed(y[:, a:b], None if bias is None else bias[a:b], low)
            for a, b, low in zip(edges, edges[1:], lows, strict=False)
        ]
        if norms is not None:
            y.copy_(torch.cat(parts, 1))
        out, scales = [], []
        for place, part in enumerate(parts[:2]):
            heads = part.view(len(y), -1, shape.width)
            if norms is not None:
                heads = wide(y[:, edges[place] : edges[place + 1]]).view(heads.shape)
                rstd = torch.rsqrt(heads.square().mean(-1) + norms[place].eps)
                scales.append(rstd)
                heads = heads * rstd[..., None] * norms[place].weight
            out.append((heads * cos[:, None] + _half_turned(heads) * sin[:, None]).flatten(1))
        return torch.cat([*out, parts[2]], 1).to(y.dtype), torch.cat(scales, 1) if scales else y.new_empty(0)

    def heads_backward(self, grad: Tensor, kept: tuple[Tensor, Tensor], turns: Turns) -> Tensor | None:
        """The gradient in the outputs of `heads` becomes that in its sums; returns the norm weights' gradients [2, W].

        `kept` is what `heads` left in y, and rstd.
        """
        shape, norms, cos, sin = turns
        count, widths = shape.queries, (shape.queries * shape.width, shape.keys * shape.width)
        learnt, start = [], 0
        for place, size in enumerate(widths):
            d = wide(grad[:, start : start + size]).reshape(len(grad), -1, shape.width)
            d = d * cos[:, None] - _half_turned(d * sin[:, None])
            if norms is not None:
                x = wide(kept[0][:, start : start + size]).reshape(d.shape)
                rstd = (kept[1][:, :count] if place == 0 else kept[1][:, count:])[..., None]
                weight, scaled = norms[place].weight, x * rstd
                learnt.append((d * scaled).sum((0, 1)))
                d = rstd * (d * weight - scaled * (d * weight * scaled).mean(-1, keepdim=True))
            grad[:, start : start + size] = d.flatten(1)
            start += size
        return torch.stack(learnt) if learnt else None


def _act(gate: Tensor, gelu: bool) -> Tensor:
    return torch.nn.functional.gelu(gate, approximate="tanh") if gelu else torch.nn.functional.silu(gate)


def _half_turned(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat([-x[..., half:], x[..., :half]], -1)
