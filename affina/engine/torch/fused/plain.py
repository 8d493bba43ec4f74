"""What stands between a block's matrix products, in torch alone: the definition that the compiled kernels are held to.

Shapes: T rows, D width, I inner width, R rank; a row of heads is [H queries | K keys | K values] of width W each.
Sums and statistics are at least float32; what is returned for products has the storage dtype given.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from affina.engine.torch.dropped import Dropped


class Thin(NamedTuple):
    """A low-rank product to be added on the way: u_TR · b_RN, `b` float32 (or float64) and already scaled."""

    u: Tensor
    b: Tensor


class Norm(NamedTuple):
    """An RMS norm: weight_D as it multiplies (float32 or float64), and what keeps the root from zero; with a bias_D a
    layer norm."""

    weight: Tensor
    eps: float
    bias: Tensor | None = None


class Join(NamedTuple):
    """How what a half of the block computed enters the residual stream: times · (its RMS norm, where there is one)."""

    times: float
    norm: Norm | None

    @property
    def plain(self) -> bool:
        return self.times == 1.0 and self.norm is None


SILU, TANH, ERROR, RELU, SQUARED = range(5)
"""Curves that gates and inner layers follow: silu; gelu by tanh, and by the error function; relu, and its square."""


class Arriving(NamedTuple):
    """The gradient in a norm's output: wide, and what products add to it, in their dtype, with a low-rank part."""

    grad: Tensor
    dy: Tensor | None
    low: Thin | None
    dtype: torch.dtype


class Act(NamedTuple):
    """What the inner product's sums become: curve(gate) · up of two halves side by side, or the curve of them all."""

    curve: int
    gated: bool


AS_IS = Join(1.0, None)


@dataclass(frozen=True, slots=True)
class Heads:
    """Query heads, key (and value) heads, their width."""

    queries: int
    keys: int
    width: int


class Turns(NamedTuple):
    """How rows of heads are turned: norms of queries and keys where there are, each over a head or, where its weight is
    that long, over all heads; cos and sin of the positions, [T, as many of a head's first numbers as are turned]."""

    heads: Heads
    norms: tuple[Norm, Norm] | None
    cos: Tensor
    sin: Tensor

    @property
    def jointly(self) -> bool:
        """Whether a norm is over all query heads, and one over all key heads, instead of over each."""
        return self.norms is not None and self.norms[0].weight.shape[0] > self.heads.width


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

    def normed(self, x: Tensor, norm: Norm, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """x_TD → its norm in `dtype`, and one over the root of the mean square (of the variance) [T]."""
        x = _centred(x, norm)
        rstd = torch.rsqrt(x.square().mean(-1) + norm.eps)
        made = x * rstd[:, None] * norm.weight
        return (made if norm.bias is None else made + norm.bias).to(dtype), rstd

    def add_residual(
        self, residual: Tensor, y: Tensor, bias: Tensor | None, low: Thin | None, norm: Norm | None, join: Join = AS_IS
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """residual + join(y + bias + low-rank); where a norm is given also its output in y's dtype, and rstd; where the
        join has one, y keeps the sums, and last comes their rstd."""
        sums, rstd = summed(y, bias, low), None
        if join.norm is not None:
            y.copy_(sums)
            sums, rstd = self.normed(wide(y), join.norm, residual.dtype)
        out = residual + sums * join.times
        return (out, *self.normed(out, norm, y.dtype), rstd) if norm is not None else (out, None, None, rstd)

    def join_backward(
        self, grad: Tensor, join: Join, kept: tuple[Tensor, Tensor] | None, dtype: torch.dtype, learns: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The gradient in what was joined, in `dtype`; that in the norm's weight where it learns. `kept`, where there
        is a norm: what `add_residual` left in y, and rstd."""
        if join.norm is None or kept is None:
            return (grad * join.times).to(dtype), None
        d, rstd = grad * join.times, kept[1][:, None]
        scaled = wide(kept[0]) * rstd
        mean = (d * join.norm.weight * scaled).mean(-1, keepdim=True)
        out = rstd * (d * join.norm.weight - scaled * mean)
        return out.to(dtype), (d * scaled).sum(0) if learns else None

    def norm_backward(
        self, kept: tuple[Tensor, Tensor], norm: Norm, arriving: tuple[Tensor, Thin | None], grad: Tensor, learns: bool
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """The gradient in x added to `grad`; the same in dy's dtype; that in the weight, and in a layer norm's bias,
        where they learn. `kept` is x and rstd; `arriving` the gradient dy in the norm's output, and its low-rank part.
        """
        (x, rstd), (dy, low) = kept, arriving
        d, scaled = summed(dy, None, low), _centred(x, norm) * rstd[:, None]
        weighed = d * norm.weight
        if norm.bias is not None:
            weighed = weighed - weighed.mean(-1, keepdim=True)
        out = grad + rstd[:, None] * (weighed - scaled * (weighed * scaled).mean(-1, keepdim=True))
        learnt = ((d * scaled).sum(0), d.sum(0)) if norm.bias is not None else ((d * scaled).sum(0),)
        return out, out.to(dy.dtype), learnt if learns else ()

    def add_norm(
        self, residual: Tensor, y: Tensor, bias: Tensor | None, low: Thin | None, norm: Norm, dropped: Dropped | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """residual + what is not dropped of y + bias + low-rank; its layer norm, wide and in y's dtype; and rstd."""
        made = summed(y, bias, low)
        sums = residual + (made if dropped is None else dropped(made))
        out, rstd = self.normed(sums, norm, residual.dtype)
        return sums, out, out.to(y.dtype), rstd

    def add_norm_backward(
        self, kept: tuple[Tensor, Tensor], norm: Norm, arriving: Arriving, dropped: Dropped | None, learns: bool
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """The gradient in the sums, and in the y of `add_norm` in its dtype; those in the norm's weight and bias where
        they learn. `kept` is the sums and rstd."""
        grad, dy, low, dtype = arriving
        d = grad if dy is None else grad + summed(dy, None, low)
        out, _, learnt = self.norm_backward(kept, norm, (d, None), torch.zeros_like(d), learns)
        return out, (out if dropped is None else dropped(out)).to(dtype), learnt

    def add_low(self, y: Tensor, low: Thin) -> None:
        """y gains the low-rank product, rounded once."""
        y.copy_(summed(y, None, low))

    def gated(self, y: Tensor, bias: Tensor | None, gate: Thin | None, up: Thin | None, act: Act) -> Tensor:
        """y_T2I = [gate | up] becomes its sums with bias and low-rank; returns act(gate) · up [T, I]. Ungated, y_TI
        becomes them, and act(y) is returned."""
        if not act.gated:
            y.copy_(sums := summed(y, bias, gate))
            return _act(sums, act.curve).to(y.dtype)
        half = y.shape[1] // 2
        biases = (None, None) if bias is None else (bias[:half], bias[half:])
        g, u = summed(y[:, :half], biases[0], gate), summed(y[:, half:], biases[1], up)
        y[:, :half], y[:, half:] = g, u
        return (_act(g, act.curve) * u).to(y.dtype)

    def gated_backward(self, y: Tensor, dout: Tensor, low: Thin | None, act: Act) -> Tensor:
        """y's sums become their gradients; returns what `gated` did once more."""
        half = y.shape[1] // 2 if act.gated else y.shape[1]
        d, g = summed(dout, None, low), wide(y[:, :half])
        with torch.enable_grad():
            gate = g.detach().requires_grad_()
            value = _act(gate, act.curve)
            (slope,) = torch.autograd.grad(value.sum(), gate)
        value = value.detach()
        if not act.gated:
            y.copy_(d * slope)
            return value.to(y.dtype)
        u = wide(y[:, half:])
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
        """Rows of heads: sums, norms where given, rotary positions; out in y's dtype, rstd [T, norms of a row].

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
            rows = part
            if norms is not None:
                rows = wide(y[:, edges[place] : edges[place + 1]]).view(len(y), -1, norms[place].weight.shape[0])
                rstd = torch.rsqrt(rows.square().mean(-1) + norms[place].eps)
                scales.append(rstd)
                rows = rows * rstd[..., None] * norms[place].weight
            heads, turned = rows.view(len(y), -1, shape.width), cos.shape[1]
            still, moved = heads[..., turned:], heads[..., :turned]
            moved = moved * cos[:, None] + _half_turned(moved) * sin[:, None]
            out.append(torch.cat([moved, still], -1).flatten(1))
        return torch.cat([*out, parts[2]], 1).to(y.dtype), torch.cat(scales, 1) if scales else y.new_empty(0)

    def heads_backward(
        self, grad: Tensor, kept: tuple[Tensor, Tensor], turns: Turns, learns: bool
    ) -> tuple[Tensor, ...]:
        """The gradient in the outputs of `heads` becomes that in its sums; returns those in the norms' weights where
        they learn. `kept` is what `heads` left in y, and rstd.
        """
        shape, norms, cos, sin = turns
        turned, learnt, start, scale = cos.shape[1], list[Tensor](), 0, 0
        for place, size in enumerate((shape.queries * shape.width, shape.keys * shape.width)):
            d = wide(grad[:, start : start + size]).reshape(len(grad), -1, shape.width)
            moved = d[..., :turned]
            moved = moved * cos[:, None] - _half_turned(moved * sin[:, None])
            d = torch.cat([moved, d[..., turned:]], -1)
            if norms is not None:
                weight = norms[place].weight
                d = d.reshape(len(grad), -1, weight.shape[0])
                x = wide(kept[0][:, start : start + size]).reshape(d.shape)
                rstd = kept[1][:, scale : scale + d.shape[1], None]
                scaled, scale = x * rstd, scale + d.shape[1]
                learnt.append((d * scaled).sum((0, 1)))
                d = rstd * (d * weight - scaled * (d * weight * scaled).mean(-1, keepdim=True))
            grad[:, start : start + size] = d.flatten(1)
            start += size
        return (*learnt,) if learns else ()


def _centred(x: Tensor, norm: Norm) -> Tensor:
    return x if norm.bias is None else x - x.mean(-1, keepdim=True)


def _act(gate: Tensor, curve: int) -> Tensor:
    if curve == SILU:
        return torch.nn.functional.silu(gate)
    if curve in (RELU, SQUARED):
        return torch.nn.functional.relu(gate) ** (curve - RELU + 1)
    return torch.nn.functional.gelu(gate, approximate="tanh" if curve == TANH else "none")


def _half_turned(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat([-x[..., half:], x[..., :half]], -1)
