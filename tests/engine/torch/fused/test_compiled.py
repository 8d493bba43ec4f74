"""Every compiled kernel against its definition in torch, at awkward sizes; the same bits for any number of threads."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from affina.engine.torch import native
from affina.engine.torch.fused import compiled
from affina.engine.torch.fused.plain import Heads, Norm, Plain, Thin, Turns

PLAIN = Plain()
DTYPES = (torch.float32, torch.bfloat16)
CLOSE = {torch.float32: 2e-6, torch.bfloat16: 2**-7}  # of the largest value; bf16 keeps 8 bits
ROWS = (1, 3, 4, 9, 130)
HEADS = Heads(4, 2, 32)


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

    def turns(self) -> tuple[Tensor, Tensor]:
        angles = self.wide(self.rows, HEADS.width // 2).repeat(1, 2)
        return angles.cos(), angles.sin()


def rms_norm(ops: Plain, d: Drawn) -> list[Tensor | None]:
    return [*ops.rms_norm(d.wide(d.rows, 80), d.norm(80), d.dtype)]


def add_residual(ops: Plain, d: Drawn) -> list[Tensor | None]:
    whole = ops.add_residual(d.wide(d.rows, 80), d.stored(80), d.wide(80), d.thin(80), d.norm(80))
    return [*whole, *ops.add_residual(d.wide(d.rows, 80), d.stored(80), None, None, None)]


def norm_backward(ops: Plain, d: Drawn) -> list[Tensor | None]:
    x, norm = d.wide(d.rows, 80), d.norm(80)
    _, rstd = PLAIN.rms_norm(x, norm, d.dtype)
    made = ops.norm_backward((x, rstd), norm, (d.stored(80), d.thin(80, 7)), d.wide(d.rows, 80), True)
    return [*made, *ops.norm_backward((x, rstd), norm, (d.stored(80), None), d.wide(d.rows, 80), False)]


def gated(gelu: bool, more: bool) -> Callable[[Plain, Drawn], list[Tensor | None]]:
    def run(ops: Plain, d: Drawn) -> list[Tensor | None]:
        y = d.stored(2 * 96) * 4
        bias, gate, up = (d.wide(2 * 96), d.thin(96), d.thin(96)) if more else (None, None, None)
        out = ops.gated(y, bias, gate, up, gelu)
        kept = y.clone()
        again = ops.gated_backward(y, d.stored(96), d.thin(96) if more else None, gelu)
        return [out, kept, y, again]

    return run


def heads(normed: bool) -> Callable[[Plain, Drawn], list[Tensor | None]]:
    def run(ops: Plain, d: Drawn) -> list[Tensor | None]:
        width = (HEADS.queries + 2 * HEADS.keys) * HEADS.width
        y, bias, positions = d.stored(width), d.wide(width), d.turns()
        lows = tuple(d.thin(count * HEADS.width) for count in (HEADS.queries, HEADS.keys, HEADS.keys))
        norms = (d.norm(HEADS.width), d.norm(HEADS.width)) if normed else None
        turns = Turns(HEADS, norms, *positions)
        out, rstd = ops.heads(y, bias, (lows[0], lows[1], lows[2]), turns)
        out = out.clone()
        grad = d.stored(width)
        learnt = ops.heads_backward(grad, (y, rstd), turns)
        return [out, rstd, grad, learnt]

    return run


CASES: dict[str, Callable[[Plain, Drawn], list[Tensor | None]]] = {
    "rms_norm": rms_norm,
    "add_residual": add_residual,
    "norm_backward": norm_backward,
    "gated silu": gated(False, True),
    "gated gelu": gated(True, True),
    "gated alone": gated(False, False),
    "heads": heads(False),
    "heads normed": heads(True),
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
    assert torch.allclose(ops.gated(y, None, None, None, False)[0], expected, rtol=1e-6, atol=1e-30)


def test_no_storage_but_bf16_and_float32_has_kernels() -> None:
    assert compiled.operations(torch.float64) is None
    assert compiled.operations(torch.float16) is None


@pytest.mark.parametrize(
    ("sizes", "right"),
    [((576, 1536, Heads(9, 3, 64), 48), True), ((24, 1536, HEADS, 0), False), ((576, 48, HEADS, 0), False),
     ((576, 1536, Heads(9, 3, 48), 0), False), ((32768, 1536, HEADS, 0), False), ((576, 1536, HEADS, 513), False)],
)  # fmt: skip
def test_sizes_that_the_kernels_do_not_take_are_known(sizes: tuple[int, int, Heads, int], right: bool) -> None:
    assert compiled.fits(*sizes) is right
