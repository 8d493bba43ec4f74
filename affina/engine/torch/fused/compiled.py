"""The same operations as `plain`, each one pass over memory in a kernel of the machine's own compiler (block.cpp)."""

import ctypes
from functools import cache

import torch
from torch import Tensor

from affina.engine.torch import native
from affina.engine.torch.fused.plain import Heads, Norm, Plain, Thin, Turns

MULTIPLE = 32  # of inner widths and of heads: two vectors
WIDEST, WIDEST_HEAD, LARGEST_RANK = 16384, 512, 512  # the kernels' buffers for a row, a head and a low-rank input
P, N, F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
LOW = (P, P, N, N)
FACES: dict[str, tuple[object, ...]] = {
    "rms_norm": (P, P, F, N, N, P, P),
    "add_residual": (P, P, P, *LOW, N, N, P, P, F, P, P),
    "norm_backward": (P, P, P, P, *LOW, P, N, N, P, P, P, N),
    "add_low": (P, *LOW, N, N),
    "gated": (P, P, *LOW, *LOW, N, N, N, P),
    "gated_backward": (P, P, *LOW, N, N, N, P),
    "heads": (P, P, *LOW, *LOW, *LOW, P, P, F, P, P, N, N, N, N, P, P),
    "heads_backward": (P, P, P, P, P, P, P, N, N, N, N, P, N),
}
SUFFIX = {torch.bfloat16: "bf16", torch.float32: "float32"}
SHARES = 8  # parts that a weight gradient is summed in: fixed, so the thread count changes no bit


@cache
def operations(dtype: torch.dtype) -> "Compiled | None":
    """The kernels for this storage dtype, for tensors of the processor; None without a compiler or a kernel for it."""
    library = native.library()
    return Compiled(library, SUFFIX[dtype]) if library is not None and dtype in SUFFIX else None


def fits(width: int, inner: int, heads: Heads, rank: int) -> bool:
    """Whether the kernels take a block of these sizes; `rank` is the sum of the ranks beside one input."""
    multiples = width % 16 == 0 and inner % MULTIPLE == 0 and heads.width % MULTIPLE == 0
    return multiples and width <= WIDEST and heads.width <= WIDEST_HEAD and rank <= LARGEST_RANK


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _low(thin: Thin | None) -> tuple[int | None, int | None, int, int]:
    if thin is None:
        return (None, None, 0, 0)
    return (thin.u.data_ptr(), thin.b.data_ptr(), thin.u.stride(0), thin.b.shape[0])


class Compiled(Plain):
    """The operations as kernels over contiguous tensors (a low-rank `u` may be a slice of columns)."""

    def __init__(self, library: ctypes.CDLL, suffix: str) -> None:
        for name, arguments in FACES.items():
            function = getattr(library, f"{name}_{suffix}")
            function.argtypes, function.restype = arguments, None
            setattr(self, f"_{name}", function)

    def rms_norm(self, x: Tensor, norm: Norm, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        T, D = x.shape
        out, rstd = torch.empty_like(x, dtype=dtype), x.new_empty(T)
        self._rms_norm(_at(x), _at(norm.weight), norm.eps, T, D, _at(out), _at(rstd))  # type: ignore[attr-defined]
        return out, rstd

    def add_residual(
        self, residual: Tensor, y: Tensor, bias: Tensor | None, low: Thin | None, norm: Norm | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        T, D = y.shape
        out = torch.empty_like(residual)
        normed, rstd = (torch.empty_like(y), residual.new_empty(T)) if norm else (None, None)
        weight, eps = norm if norm else (None, 0.0)
        self._add_residual(  # type: ignore[attr-defined]
            _at(residual), _at(y), _at(bias), *_low(low), T, D, _at(out), _at(weight), eps, _at(normed), _at(rstd)
        )
        return out, normed, rstd

    def norm_backward(
        self, kept: tuple[Tensor, Tensor], norm: Norm, arriving: tuple[Tensor, Thin | None], grad: Tensor, learns: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        (x, rstd), (dy, low) = kept, arriving
        T, D = x.shape
        out, cast = torch.empty_like(x), torch.empty_like(dy)
        learnt = x.new_zeros(SHARES, D) if learns else None
        self._norm_backward(  # type: ignore[attr-defined]
            _at(x), _at(rstd), _at(norm.weight), _at(dy), *_low(low), _at(grad), T, D, _at(out), _at(cast),
            _at(learnt), SHARES,
        )  # fmt: skip
        return out, cast, None if learnt is None else learnt.sum(0)

    def add_low(self, y: Tensor, low: Thin) -> None:
        self._add_low(_at(y), *_low(low), *y.shape)  # type: ignore[attr-defined]

    def gated(self, y: Tensor, bias: Tensor | None, gate: Thin | None, up: Thin | None, gelu: bool) -> Tensor:
        T, I = y.shape[0], y.shape[1] // 2  # noqa: E741
        out = y.new_empty(T, I)
        self._gated(_at(y), _at(bias), *_low(gate), *_low(up), gelu, T, I, _at(out))  # type: ignore[attr-defined]
        return out

    def gated_backward(self, y: Tensor, dout: Tensor, low: Thin | None, gelu: bool) -> Tensor:
        T, I = y.shape[0], y.shape[1] // 2  # noqa: E741
        again = y.new_empty(T, I)
        self._gated_backward(_at(y), _at(dout), *_low(low), gelu, T, I, _at(again))  # type: ignore[attr-defined]
        return again

    def heads(
        self,
        y: Tensor,
        bias: Tensor | None,
        lows: tuple[Thin | None, Thin | None, Thin | None],
        turns: Turns,
    ) -> tuple[Tensor, Tensor]:
        shape, norms, cos, sin = turns
        T, sizes = len(y), (shape.queries, shape.keys, shape.width)
        out, rstd = (torch.empty_like(y), cos.new_empty(T, sum(sizes[:2]))) if norms else (y, cos.new_empty(0))
        weights, eps = ((_at(norms[0].weight), _at(norms[1].weight)), norms[0].eps) if norms else ((None, None), 0.0)
        low = [each for thin in lows for each in _low(thin)]
        turn = (_at(cos), _at(sin))
        self._heads(_at(y), _at(bias), *low, *weights, eps, *turn, *sizes, T, _at(out), _at(rstd))  # type: ignore[attr-defined]
        return out, rstd

    def heads_backward(self, grad: Tensor, kept: tuple[Tensor, Tensor], turns: Turns) -> Tensor | None:
        shape, norms, cos, sin = turns
        sizes = (shape.queries, shape.keys, shape.width)
        learnt = cos.new_zeros(SHARES, 2, shape.width) if norms else None
        weights = (_at(norms[0].weight), _at(norms[1].weight)) if norms else (None, None)
        turn = (_at(cos), _at(sin))
        self._heads_backward(  # type: ignore[attr-defined]
            _at(grad), _at(kept[0]), _at(kept[1]), *weights, *turn, *sizes, len(grad), _at(learnt), SHARES
        )
        return None if learnt is None else learnt.sum(0)
