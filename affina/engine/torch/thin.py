"""Matrix products of which one side is thin: a few rows by a large weight, low-rank products, their gradients.

bf16 by the machine's kernel where the processor multiplies bf16 in pairs (`native/thin.cpp`); else as torch has them.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from affina.core.errors import Failed
from affina.engine.torch import native
from affina.engine.torch.steady import product

P, N = ctypes.c_void_p, ctypes.c_int64


class _Low(ctypes.Structure):
    """`Low` of native/thin.h."""

    _fields_ = (
        ("u", P), ("u_row", N), ("rank", N), ("rows", P), ("first", N), ("columns", N), ("words", P), ("bits", P),
        ("scale", ctypes.c_double),
    )  # fmt: skip


class _Product(ctypes.Structure):
    """`Product` of native/thin.h."""

    _fields_ = (
        ("x", P), ("words", P), ("floats", P), ("N", N), ("K", N), ("y", P), ("y_row", N),
        ("lows", P), ("low_count", N),
    )  # fmt: skip


class _Sum(ctypes.Structure):
    """`Sum` of native/thin.cpp."""

    _fields_ = (
        ("x", P), ("x_row", N), ("N", N), ("u", P), ("u_row", N), ("R", N), ("scale", ctypes.c_double),
        ("across", N), ("y", P),
    )  # fmt: skip


FACES: dict[str, tuple[object, ...]] = {
    "affina_thin_pack": (P, N, N, N, P),
    "affina_thin_pack_back": (P, N, N, N, P),
    "affina_thin_lay_out": (P, N, N, N, N, N, P),
    "affina_thin_times": (P, N, N, N),
    "affina_thin_sums": (P, N, N),
    "affina_thin_gradient": (P, N, N, P, N, N, N, P),
}
FAILING = ("affina_thin_sums", "affina_thin_gradient")


@dataclass(frozen=True, slots=True)
class Beside:
    """A low-rank product taken on the way: columns of x from `column` on, times Wᵀ for W [R, K], into `out`."""

    weight: Tensor
    column: int
    out: Tensor
    """[T, R], a view perhaps."""


@dataclass(frozen=True, slots=True)
class Within:
    """A low-rank product that a product's own sums take in: its columns from `column` on gain u · rows.

    `u` [T, R] may be what a `Beside` of the same call fills; R is even, `column` whole panels; `rows` [R, N] float32.
    """

    u: Tensor
    rows: Tensor
    column: int


@dataclass(frozen=True, slots=True)
class Summed:
    """scale · xᵀ u for x [T, N] and u [T, R]: [N, R], or its transpose [R, N] where `across`."""

    x: Tensor
    u: Tensor
    scale: float = 1.0
    across: bool = False


@cache
def kernel() -> ctypes.CDLL | None:
    """The library where it holds these kernels: a compiler, and a processor with bf16 products."""
    library = native.library()
    if library is None or not library.affina_thin():
        return None
    for name, arguments in FACES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int if name in FAILING else None
    return library


def takes(x: Tensor) -> bool:
    """Whether the kernels compute with x [T, K] here: bf16 rows of the processor's memory, K even."""
    right = x.dtype == torch.bfloat16 and x.device.type == "cpu" and x.stride(1) == 1
    return right and x.shape[1] % 2 == 0 and x.stride(0) % 2 == 0 and kernel() is not None


def stacks(weights: Sequence[Tensor]) -> bool:
    """Whether `Wide.stacked` takes them: float32 of the processor's memory, whole panels each, K even."""
    library = kernel()
    return library is not None and all(
        each.dtype == torch.float32
        and each.device.type == "cpu"
        and each.is_contiguous()
        and len(each) % library.affina_thin() == 0
        and each.shape[1] % 2 == 0
        for each in weights
    )


class Wide:
    """A weight [N, K] that `takes` takes, laid out for x Wᵀ: it is read once, in order.

    With `back` it is laid out for dy W: outputs, an even number, and inputs change places.
    """

    def __init__(self, weight: Tensor, back: bool = False) -> None:
        library = self._room(len(weight), weight.shape[1], back)
        pack = library.affina_thin_pack_back if back else library.affina_thin_pack
        pack(weight.data_ptr(), weight.stride(0), *weight.shape, self.words.data_ptr())

    @classmethod
    def stacked(cls, weights: Sequence[Tensor], back: bool = False) -> "Wide":
        """Float32 weights [N, K] that `stacks` takes, one below the other, rounded on the way."""
        assert stacks(weights)
        made, before = cls.__new__(cls), 0
        total = sum(map(len, weights))
        library = made._room(total, weights[0].shape[1], back)
        for weight in weights:
            library.affina_thin_lay_out(weight.data_ptr(), *weight.shape, before, total, back, made.words.data_ptr())
            before += len(weight)
        return made

    def _room(self, rows: int, columns: int, back: bool) -> ctypes.CDLL:
        library = kernel()
        assert library is not None and (not back or rows % 2 == 0)
        self.outputs, self.inputs = (columns, rows) if back else (rows, columns)
        self.words = _words(self.outputs, self.inputs)
        return library

    def __call__(self, x: Tensor, beside: Sequence[Beside] = (), within: Sequence[Within] = ()) -> Tensor:
        """x [..., K] in bf16 → x Wᵀ [..., N]; on the way the low-rank products of its rows, weights float32.

        What is `within` is summed before y is rounded: added to rounded sums, less than half a unit in their last place
        would be lost every time.
        """
        rows = x.reshape(-1, self.inputs).contiguous()
        y = x.new_empty(len(rows), self.outputs)
        _multiply(rows, [(0, self.words, None, y), *(_floating(each) for each in beside)], within)
        return y.view(*x.shape[:-1], self.outputs)


def takes_in(ranks: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether a product of outputs side by side can take in low-rank products of these ranks: see `Within`."""
    library = kernel()
    return (
        library is not None
        and all(rank % 2 == 0 for rank in ranks)
        and all(size % library.affina_thin() == 0 for size in sizes)
    )


def times(x: Tensor, beside: Sequence[Beside]) -> None:
    """The low-rank products of x [T, K], in x's dtype."""
    if takes(x) and all(each.weight.dtype == torch.float32 for each in beside):
        _multiply(x, [_floating(each) for each in beside])
        return
    for each in beside:
        part = x[:, each.column : each.column + each.weight.shape[1]]
        product(part, each.weight.T.to(x.dtype), each.out)


def sums(wanted: Sequence[Summed]) -> list[Tensor]:
    """Sums over the same rows, float32 or wider."""
    library = kernel() if all(takes(each.x) and _pairs(each.u) for each in wanted) else None
    if library is None:
        return [_summed(each) for each in wanted]
    made = [
        torch.empty(shape if each.across else shape[::-1])
        for each in wanted
        for shape in [(each.u.shape[1], each.x.shape[1])]
    ]
    jobs = (_Sum * len(wanted))(
        *(
            _Sum(
                each.x.data_ptr(), each.x.stride(0), each.x.shape[1], each.u.data_ptr(), each.u.stride(0),
                each.u.shape[1], each.scale, each.across, out.data_ptr(),
            )
            for each, out in zip(wanted, made, strict=True)
        )
    )  # fmt: skip
    if library.affina_thin_sums(ctypes.addressof(jobs), len(jobs), len(wanted[0].x)):
        raise Failed("gradients of thin products ran out of memory", instead="take fewer tokens per micro-batch")
    return made


def gradient(dy: Tensor, x: Tensor) -> Tensor:
    """dyᵀ x of dy [T, N] and x [T, K]: the gradient of a weight [N, K], float32 or wider."""
    library = kernel() if takes(dy) and takes(x) else None
    if library is None:
        made = dy.T @ x
        return made.to(torch.promote_types(made.dtype, torch.float32))
    out = torch.empty(dy.shape[1], x.shape[1])
    rows = (dy.data_ptr(), dy.stride(0), dy.shape[1], x.data_ptr(), x.stride(0), x.shape[1], len(x))
    if library.affina_thin_gradient(*rows, out.data_ptr()):
        raise Failed("a weight's gradient ran out of memory", instead="take fewer tokens per micro-batch")
    return out


def _pairs(u: Tensor) -> bool:
    return u.dtype == torch.bfloat16 and u.device.type == "cpu" and u.stride(1) == 1


def _summed(each: Summed) -> Tensor:
    made = each.u.T @ each.x if each.across else each.x.T @ each.u
    made = made.to(torch.promote_types(made.dtype, torch.float32))
    return made if each.scale == 1 else made * each.scale


def _floating(each: Beside) -> tuple[int, Tensor, Tensor, Tensor]:
    weight = each.weight.contiguous()
    return each.column, _words(*weight.shape), weight, each.out


def _multiply(
    x: Tensor, products: Sequence[tuple[int, Tensor, Tensor | None, Tensor]], within: Sequence[Within] = ()
) -> None:
    """Products (column of x, words, float weight or None where the words are there, out) of x's rows.

    The first one takes in what is `within`.
    """
    if not products:
        return
    library = kernel()
    assert library is not None
    begin, size = x.data_ptr(), x.element_size()
    held = [(each, each.rows.contiguous(), _words(each.rows.shape[1], len(each.rows))) for each in within]
    lows = (_Low * len(held))(
        *(
            _Low(
                each.u.data_ptr(), each.u.stride(0), len(rows), rows.data_ptr(), each.column, rows.shape[1],
                words.data_ptr(),
            )
            for each, rows, words in held
        )
    )  # fmt: skip
    jobs = (_Product * len(products))(
        *(
            _Product(
                begin + column * size, words.data_ptr(), None if weight is None else weight.data_ptr(), out.shape[1],
                x.shape[1] if weight is None else weight.shape[1], out.data_ptr(), out.stride(0),
            )
            for column, words, weight, out in products
        )
    )  # fmt: skip
    jobs[0].lows, jobs[0].low_count = ctypes.addressof(lows), len(held)
    library.affina_thin_times(ctypes.addressof(jobs), len(jobs), x.stride(0), len(x))


def _words(outputs: int, inputs: int) -> Tensor:
    library = kernel()
    assert library is not None
    panel = library.affina_thin()
    return torch.empty(-(-outputs // panel) * panel * (inputs // 2), dtype=torch.int32)
