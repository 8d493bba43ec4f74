"""The same operations as `plain`, each one pass over memory in a kernel of the machine's own compiler (block.cpp)."""

import ctypes
from functools import cache

import torch
from torch import Tensor

from affina.engine.torch import native
from affina.engine.torch.dropped import Dropped
from affina.engine.torch.fused.plain import AS_IS, Act, Arriving, Heads, Join, Norm, Plain, Thin, Turns

VECTOR = 16  # numbers: the widths of rows and heads are multiples of it
MULTIPLE = 2 * VECTOR  # of inner widths
WIDEST, LARGEST_RANK = 16384, 1536  # the kernels' buffers for a row and a low-rank input
P, N, F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
LOW = (P, P, N, N)
FACES: dict[str, tuple[object, ...]] = {
    "norm_rows": (P, P, P, F, N, N, P, P),
    "add_residual": (P, P, P, *LOW, F, P, F, P, N, N, P, P, P, F, P, P),
    "join_backward": (P, P, F, P, P, N, N, P, P, N),
    "norm_backward": (P, P, P, P, P, *LOW, P, N, N, P, P, P, P, N),
    "add_low": (P, *LOW, N, N),
    "add_norm": (P, P, P, *LOW, P, F, P, P, F, N, N, P, P, P, P),
    "add_norm_backward": (P, P, P, P, P, *LOW, P, F, N, N, P, P, P, P, N),
    "gated": (P, P, *LOW, *LOW, N, N, N, N, P),
    "gated_backward": (P, P, *LOW, N, N, N, N, P),
    "heads": (P, P, *LOW, *LOW, *LOW, P, P, F, P, P, N, N, N, N, N, N, P, P),
    "heads_backward": (P, P, P, P, P, P, P, N, N, N, N, N, N, P, N),
}
SUFFIX = {torch.bfloat16: "bf16", torch.float32: "float32"}
SHARES = 8  # parts that a weight gradient is summed in: fixed, so the thread count changes no bit


@cache
def operations(dtype: torch.dtype) -> "Compiled | None":
    """The kernels for this storage dtype, for tensors of the processor; None without a compiler or a kernel for it."""
    library = native.library()
    return Compiled(library, SUFFIX[dtype]) if library is not None and dtype in SUFFIX else None


def fits(width: int, inner: int, heads: Heads, rank: int, turned: int) -> bool:
    """Whether the kernels take a block of these sizes; `rank` is the sum of the ranks beside one input, `turned` how
    many of a head's numbers its position turns."""
    multiples = width % VECTOR == 0 and inner % MULTIPLE == 0 and heads.width % VECTOR == 0 and turned % 2 == 0
    return multiples and max(width, heads.queries * heads.width) <= WIDEST and rank <= LARGEST_RANK


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _low(thin: Thin | None) -> tuple[int | None, int | None, int, int]:
    if thin is None:
        return (None, None, 0, 0)
    return (thin.u.data_ptr(), thin.b.data_ptr(), thin.u.stride(0), thin.b.shape[0])


def _rest(dropped: Dropped | None) -> tuple[int | None, float]:
    return (None, 1.0) if dropped is None else (dropped.bits.data_ptr(), dropped.scale)


class Compiled(Plain):
    """The operations as kernels over contiguous tensors (a low-rank `u` may be a slice of columns)."""

    def __init__(self, library: ctypes.CDLL, suffix: str) -> None:
        for name, arguments in FACES.items():
            function = getattr(library, f"{name}_{suffix}")
            function.argtypes, function.restype = arguments, None
            setattr(self, f"_{name}", function)

    def normed(self, x: Tensor, norm: Norm, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        T, D = x.shape
        out, rstd = torch.empty_like(x, dtype=dtype), x.new_empty(T)
        self._norm_rows(  # type: ignore[attr-defined]
            _at(x), _at(norm.weight), _at(norm.bias), norm.eps, T, D, _at(out), _at(rstd)
        )
        return out, rstd

    def add_residual(
        self, residual: Tensor, y: Tensor, bias: Tensor | None, low: Thin | None, norm: Norm | None, join: Join = AS_IS
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        T, D = y.shape
        out = torch.empty_like(residual)
        normed, rstd = (torch.empty_like(y), residual.new_empty(T)) if norm else (None, None)
        weight, eps, shift = norm or (None, 0.0, None)
        joined, joined_eps, _ = join.norm or (None, 0.0, None)
        kept = residual.new_empty(T) if join.norm else None
        self._add_residual(  # type: ignore[attr-defined]
            _at(residual), _at(y), _at(bias), *_low(low), join.times, _at(joined), joined_eps, _at(kept), T, D,
            _at(out), _at(weight), _at(shift), eps, _at(normed), _at(rstd),
        )  # fmt: skip
        return out, normed, rstd, kept

    def join_backward(
        self, grad: Tensor, join: Join, kept: tuple[Tensor, Tensor] | None, dtype: torch.dtype, learns: bool
    ) -> tuple[Tensor, Tensor | None]:
        T, D = grad.shape
        out, (y, rstd) = torch.empty_like(grad, dtype=dtype), kept or (None, None)
        weight = None if join.norm is None else join.norm.weight
        learnt = grad.new_zeros(SHARES, D) if learns and join.norm is not None else None
        self._join_backward(  # type: ignore[attr-defined]
            _at(grad), _at(y), join.times, _at(weight), _at(rstd), T, D, _at(out), _at(learnt), SHARES
        )
        return out, None if learnt is None else learnt.sum(0)

    def norm_backward(
        self, kept: tuple[Tensor, Tensor], norm: Norm, arriving: tuple[Tensor, Thin | None], grad: Tensor, learns: bool
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        (x, rstd), (dy, low) = kept, arriving
        T, D = x.shape
        out, cast = torch.empty_like(x), torch.empty_like(dy)
        weight = x.new_zeros(SHARES, D) if learns else None
        shift = x.new_zeros(SHARES, D) if learns and norm.bias is not None else None
        self._norm_backward(  # type: ignore[attr-defined]
            _at(x), _at(rstd), _at(norm.weight), _at(norm.bias), _at(dy), *_low(low), _at(grad), T, D, _at(out),
            _at(cast), _at(weight), _at(shift), SHARES,
        )  # fmt: skip
        return out, cast, tuple(each.sum(0) for each in (weight, shift) if each is not None)

    def add_norm(
        self, residual: Tensor, y: Tensor, bias: Tensor | None, low: Thin | None, norm: Norm, dropped: Dropped | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        T, D = y.shape
        sums, out, cast, rstd = (torch.empty_like(each) for each in (residual, residual, y, residual[:, 0]))
        self._add_norm(  # type: ignore[attr-defined]
            _at(residual), _at(y), _at(bias), *_low(low), *_rest(dropped), _at(norm.weight), _at(norm.bias), norm.eps,
            T, D, _at(sums), _at(out), _at(cast), _at(rstd),
        )  # fmt: skip
        return sums, out, cast, rstd

    def add_norm_backward(
        self, kept: tuple[Tensor, Tensor], norm: Norm, arriving: Arriving, dropped: Dropped | None, learns: bool
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        (sums, rstd), (grad, dy, low, dtype), (T, D) = kept, arriving, kept[0].shape
        out, cast = torch.empty_like(sums), torch.empty_like(sums, dtype=dtype)
        learnt = [grad.new_zeros(SHARES, D) for _ in range(2)] if learns else [None, None]
        self._add_norm_backward(  # type: ignore[attr-defined]
            _at(sums), _at(rstd), _at(norm.weight), _at(grad), _at(dy), *_low(low), *_rest(dropped), T, D, _at(out),
            _at(cast), *map(_at, learnt), SHARES,
        )  # fmt: skip
        return out, cast, tuple(each.sum(0) for each in learnt if each is not None)

    def add_low(self, y: Tensor, low: Thin) -> None:
        self._add_low(_at(y), *_low(low), *y.shape)  # type: ignore[attr-defined]

    def gated(self, y: Tensor, bias: Tensor | None, gate: Thin | None, up: Thin | None, act: Act) -> Tensor:
        parts = 2 if act.gated else 1
        T, I = y.shape[0], y.shape[1] // parts  # noqa: E741
        out = y.new_empty(T, I)
        self._gated(_at(y), _at(bias), *_low(gate), *_low(up), act.curve, parts, T, I, _at(out))  # type: ignore[attr-defined]
        return out

    def gated_backward(self, y: Tensor, dout: Tensor, low: Thin | None, act: Act) -> Tensor:
        parts = 2 if act.gated else 1
        T, I = y.shape[0], y.shape[1] // parts  # noqa: E741
        again = y.new_empty(T, I)
        self._gated_backward(  # type: ignore[attr-defined]
            _at(y), _at(dout), *_low(low), act.curve, parts, T, I, _at(again)
        )
        return again

    def heads(
        self,
        y: Tensor,
        bias: Tensor | None,
        lows: tuple[Thin | None, Thin | None, Thin | None],
        turns: Turns,
    ) -> tuple[Tensor, Tensor]:
        shape, norms, cos, sin = turns
        T, sizes, jointly = len(y), (shape.queries, shape.keys, shape.width, cos.shape[1]), turns.jointly
        count = 2 if jointly else shape.queries + shape.keys
        out, rstd = (torch.empty_like(y), cos.new_empty(T, count)) if norms else (y, cos.new_empty(0))
        weights, eps = ((_at(norms[0].weight), _at(norms[1].weight)), norms[0].eps) if norms else ((None, None), 0.0)
        low = [each for thin in lows for each in _low(thin)]
        turn = (_at(cos), _at(sin))
        self._heads(  # type: ignore[attr-defined]
            _at(y), _at(bias), *low, *weights, eps, *turn, *sizes, jointly, T, _at(out), _at(rstd)
        )
        return out, rstd

    def heads_backward(
        self, grad: Tensor, kept: tuple[Tensor, Tensor], turns: Turns, learns: bool
    ) -> tuple[Tensor, ...]:
        shape, norms, cos, sin = turns
        sizes = (shape.queries, shape.keys, shape.width, cos.shape[1])
        lengths = [norm.weight.shape[0] for norm in norms or ()]
        learnt = cos.new_zeros(SHARES, sum(lengths)) if norms and learns else None
        weights = (_at(norms[0].weight), _at(norms[1].weight)) if norms else (None, None)
        turn, left = (_at(cos), _at(sin)), (_at(kept[0]), _at(kept[1]))
        self._heads_backward(  # type: ignore[attr-defined]
            _at(grad), *left, *weights, *turn, *sizes, turns.jointly, len(grad), _at(learnt), SHARES
        )
        return () if learnt is None else torch.split(learnt.sum(0), lengths)
