"""Every compiled kernel against its definition in torch, at awkward sizes; the same bits for any number of threads."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from affina.engine.torch import native
from affina.engine.torch.dropped import Dropped
from affina.engine.torch.fused import compiled
from affina.engine.torch.fused.plain import (
    ERROR,
    RELU,
    SILU,
    SQUARED,
    TANH,
    Act,
    Arriving,
    Heads,
    Join,
    Norm,
    Plain,
    Thin,
    Turns,
)

PLAIN = Plain()
DTYPES = (torch.float32, torch.bfloat16)
CLOSE = {torch.float32: 2e-6, torch.bfloat16: 2**-7}  # of the largest value; bf16 keeps 8 bits
ROWS = (1, 3, 4, 9, 130)
HEADS = Heads(4, 2, 64)


@pytest.fixture(autouse=True)
def a_library() -> None:
    if native.library() is None:
        pytest.skip(native.reason())


class Drawn:
    """Seeded tensors."""

    def __init__(self, rows: int, dtype: torch.dtype) -> None:
        self.rows, self.dtype, self.source = rows, dtype, torch.Generator().manual_seed(rows)

    def wide(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.source)

    def stored(self, width: int) -> Tensor:
        return self.wide(self.rows, width).to(self.dtype)

    def thin(self, width: int, rank: int = 5) -> Thin:
        """A product whose u is a slice of wider rows, as the stacks give it."""
        return Thin(self.stored(3 * rank)[:, rank : 2 * rank], self.wide(rank, width) * 0.3)

    def norm(self, width: int) -> Norm:
        return Norm(self.wide(width), 1e-5)

    def turns(self, width: int) -> tuple[Tensor, Tensor]:
        angles = self.wide(self.rows, width // 2).repeat(1, 2)
        return angles.cos(), angles.sin()


def normed(ops: Plain, d: Drawn) -> list[Tensor | None]:
    return [*ops.normed(d.wide(d.rows, 80), d.norm(80), d.dtype)]


def add_residual(ops: Plain, d: Drawn) -> list[Tensor | None]:
    whole = ops.add_residual(d.wide(d.rows, 80), d.stored(80), d.wide(80), d.thin(80), d.norm(80))
    return [*whole, *ops.add_residual(d.wide(d.rows, 80), d.stored(80), None, None, None)]


def layer_normed(ops: Plain, d: Drawn) -> list[Tensor | None]:
    """A stream far from zero: a layer norm takes its mean off."""
    x, norm = d.wide(d.rows, 80) + 3, Norm(d.wide(80), 1e-5, d.wide(80))
    _, rstd = PLAIN.normed(x, norm, d.dtype)
    out, cast, learnt = ops.norm_backward((x, rstd), norm, (d.stored(80), d.thin(80)), d.wide(d.rows, 80), True)
    return [*ops.normed(x, norm, d.dtype), out, cast, *learnt]


def joined(normed: bool) -> Callable[[Plain, Drawn], list[Tensor | None]]:
    def run(ops: Plain, d: Drawn) -> list[Tensor | None]:
        join, y = Join(0.22, d.norm(80) if normed else None), d.stored(80)
        made = ops.add_residual(d.wide(d.rows, 80), y, d.wide(80), d.thin(80), d.norm(80), join)
        rstd = (d.wide(d.rows).abs() + 0.5) if normed else None
        kept = None if rstd is None else (d.stored(80), rstd)
        back = ops.join_backward(d.wide(d.rows, 80), join, kept, d.dtype, True)
        return [*made, y if normed else None, *back]

    return run


def norm_backward(ops: Plain, d: Drawn) -> list[Tensor | None]:
    x, norm = d.wide(d.rows, 80), d.norm(80)
    _, rstd = PLAIN.normed(x, norm, d.dtype)
    made = ops.norm_backward((x, rstd), norm, (d.stored(80), d.thin(80, 7)), d.wide(d.rows, 80), True)
    out, cast, learnt = ops.norm_backward((x, rstd), norm, (d.stored(80), None), d.wide(d.rows, 80), False)
    assert learnt == ()
    return [*made[:2], *made[2], out, cast]


def added(drops: bool, more: bool) -> Callable[[Plain, Drawn], list[Tensor | None]]:
    """Of 80 columns the last word of bits is not full."""

    def run(ops: Plain, d: Drawn) -> list[Tensor | None]:
        norm, dropped = Norm(d.wide(80), 1e-5, d.wide(80)), Dropped.of(3, d.rows, 80, 0.4) if drops else None
        bias, low = (d.wide(80), d.thin(80)) if more else (None, None)
        made = ops.add_norm(d.wide(d.rows, 80) + 3, d.stored(80), bias, low, norm, dropped)
        kept = d.wide(d.rows, 80) + 3, d.wide(d.rows).abs() + 0.5
        arriving = Arriving(d.wide(d.rows, 80), d.stored(80) if more else None, d.thin(80) if more else None, d.dtype)
        out, cast, learnt = ops.add_norm_backward(kept, norm, arriving, dropped, more)
        assert len(learnt) == (2 if more else 0)
        return [*made, out, cast, *learnt]

    return run


def gated(curve: int, more: bool, parts: int = 2) -> Callable[[Plain, Drawn], list[Tensor | None]]:
    def run(ops: Plain, d: Drawn) -> list[Tensor | None]:
        y, act = d.stored(parts * 96) * 4, Act(curve, parts == 2)
        bias, gate, up = (d.wide(parts * 96), d.thin(96), d.thin(96)) if more else (None, None, None)
        out = ops.gated(y, bias, gate, up if parts == 2 else None, act)
        kept = y.clone()
        again = ops.gated_backward(y, d.stored(96), d.thin(96) if more else None, act)
        return [out, kept, y, again]

    return run


def heads(
    normed: str = "", turned: int = HEADS.width, shape: Heads = HEADS
) -> Callable[[Plain, Drawn], list[Tensor | None]]:
    """`normed`: over each head, or over all."""

    def run(ops: Plain, d: Drawn) -> list[Tensor | None]:
        width = (shape.queries + 2 * shape.keys) * shape.width
        y, bias, positions = d.stored(width), d.wide(width), d.turns(turned)
        lows = tuple(d.thin(count * shape.width) for count in (shape.queries, shape.keys, shape.keys))
        counts = {"": (), "each": (1, 1), "all": (shape.queries, shape.keys)}[normed]
        drawn = [d.norm(count * shape.width) for count in counts]
        norms = (drawn[0], drawn[1]) if drawn else None
        turns = Turns(shape, norms, *positions)
        out, rstd = ops.heads(y, bias, (lows[0], lows[1], lows[2]), turns)
        out = out.clone()
        grad = d.stored(width)
        learnt = ops.heads_backward(grad, (y, rstd), turns, True)
        assert len(learnt) == (2 if normed else 0)
        return [out, rstd, grad, *learnt]

    return run


CASES: dict[str, Callable[[Plain, Drawn], list[Tensor | None]]] = {
    "normed": normed,
    "add_residual": add_residual,
    "norm_backward": norm_backward,
    "layer norm": layer_normed,
    "joined": joined(False),
    "joined normed": joined(True),
    "added and normed": added(False, False),
    "added and normed with more": added(False, True),
    "a part added and normed": added(True, True),
    "gated silu": gated(SILU, True),
    "gated gelu": gated(TANH, True),
    "gated relu": gated(RELU, True, 1),
    "squared relu": gated(SQUARED, True, 1),
    "gated alone": gated(SILU, False),
    "act of one part": gated(TANH, True, 1),
    "act alone": gated(SILU, False, 1),
    "exact gelu": gated(ERROR, True, 1),
    "heads": heads(),
    "heads normed": heads("each"),
    "heads normed together": heads("all"),
    "heads that do not turn": heads("each", 0),
    "heads of which half turns": heads("all", HEADS.width // 2),
    "heads of three vectors of which a part turns": heads("", 20, Heads(3, 1, 48)),
    "one head normed of which a part turns": heads("each", 12, Heads(1, 1, 80)),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("case", CASES)
def test_a_kernel_computes_what_its_definition_says(case: str, rows: int, dtype: torch.dtype) -> None:
    ops: Any = compiled.operations(dtype)
    found, expected = (CASES[case](each, Drawn(rows, dtype)) for each in (ops, PLAIN))
    for number, (mine, right) in enumerate(zip(found, expected, strict=True)):
        assert (mine is None) == (right is None), number
        if mine is not None and right is not None and right.numel():
            assert mine.dtype == right.dtype, number
            apart = (mine.float() - right.float()).abs().max() / right.float().abs().max()
            assert apart <= CLOSE[dtype], (number, float(apart))


@pytest.mark.parametrize("case", CASES)
def test_the_number_of_threads_changes_no_bit(case: str) -> None:
    ops: Any = compiled.operations(torch.bfloat16)
    threads = torch.get_num_threads()
    made = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            made.append(CASES[case](ops, Drawn(130, torch.bfloat16)))
    finally:
        torch.set_num_threads(threads)
    for other in made[1:]:
        for mine, first in zip(other, made[0], strict=True):
            assert mine is first is None or (mine is not None and first is not None and torch.equal(mine, first))


def test_a_gate_far_out_stays_finite_and_right() -> None:
    ops: Any = compiled.operations(torch.float32)
    gate = torch.tensor([-1e4, -90.0, -20.0, -1.0, 0.0, 1.0, 20.0, 90.0, 1e4]).repeat(8)[:64]
    y = torch.cat([gate, torch.ones(64)])[None]
    expected = torch.nn.functional.silu(gate)
    assert torch.allclose(ops.gated(y, None, None, None, Act(SILU, True))[0], expected, rtol=1e-6, atol=1e-30)


def test_no_storage_but_bf16_and_float32_has_kernels() -> None:
    assert compiled.operations(torch.float64) is None
    assert compiled.operations(torch.float16) is None


@pytest.mark.parametrize(
    ("sizes", "right"),
    [((576, 1536, Heads(9, 3, 64), 48, 64), True), ((24, 1536, HEADS, 0, 64), False), ((576, 48, HEADS, 0, 64), False),
     ((576, 1536, Heads(9, 3, 48), 0, 48), True), ((576, 1536, Heads(9, 3, 40), 0, 40), False),
     ((32768, 1536, HEADS, 0, 64), False), ((576, 1536, HEADS, 1537, 64), False), ((576, 1536, HEADS, 0, 32), True),
     ((576, 1536, HEADS, 0, 16), True), ((576, 1536, HEADS, 0, 7), False),
     ((576, 1536, HEADS, 0, 0), True), ((576, 1536, Heads(300, 3, 64), 0, 64), False)],
)  # fmt: skip
def test_sizes_that_the_kernels_do_not_take_are_known(sizes: tuple[int, int, Heads, int, int], right: bool) -> None:
    assert compiled.fits(*sizes) is right


def test_in_float32_a_number_that_outweighs_its_row_has_its_gradient() -> None:
    """What is left of it nearly cancels: in float32 alone it was up to 5 % off, measured 6e-8."""
    ops, d = compiled.operations(torch.float32), Drawn(16, torch.float32)
    assert ops is not None
    x, dy, grad, norm = d.wide(16, 576), d.wide(16, 576), torch.zeros(16, 576), Norm(d.wide(576).abs() + 0.5, 1e-5)
    x[:, 7] = 3000.0
    rstd = torch.rsqrt(x.square().mean(-1) + norm.eps)
    out, _, _ = ops.norm_backward((x, rstd), norm, (dy, None), grad, False)
    exact = Norm(norm.weight.double(), norm.eps)
    right, _, _ = PLAIN.norm_backward((x.double(), rstd.double()), exact, (dy.double(), None), grad.double(), False)
    assert float(((out - right)[:, 7] / right[:, 7]).abs().max()) <= 1e-6
