"""Thin products: held to float64 arithmetic at every shape that a kernel treats apart; the fallback is the same."""

import subprocess
import sys

import pytest
import torch

from affina.engine.torch import packing, thin
from affina.engine.torch.thin import Beside, Summed, Within

ROWS = (1, 2, 7, 8, 13, 47, 48, 49, 100, 513, 1025)
SHAPES = ((576, 48), (48, 16), (16, 4), (100, 20), (30, 3), (66, 1), (194, 131))  # columns, rank
needs_kernel = pytest.mark.skipif(thin.kernel() is None, reason="no compiler, or no bf16 products on this processor")


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def near(found: torch.Tensor, expected: torch.Tensor, units: float) -> bool:
    """Of the same shape, and within so many of its dtype's units in the last place of the largest number."""
    bound = torch.finfo(found.dtype).eps * units * expected.abs().max() + 1e-12
    return found.shape == expected.shape and bool((found.double() - expected).abs().max() <= bound)


@needs_kernel
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("columns", "rank"), SHAPES)
def test_products_and_sums_are_those_of_float64(rows: int, columns: int, rank: int) -> None:
    x, u, weight = drawn(rows, columns), drawn(rows, rank, seed=1), drawn(70, columns, seed=2)
    a = torch.randn(rank, columns, generator=torch.Generator().manual_seed(3))
    part = a[:, : columns // 4 * 2].contiguous()
    out = torch.full((rows, 2 * rank + 3), 7.0).bfloat16()  # what stands beside a result must stay
    assert thin.takes(x)
    y = thin.Wide(weight)(x, [Beside(a, 0, out[:, :rank]), Beside(part, 2, out[:, rank + 1 : 2 * rank + 1])])
    assert near(y, x.double() @ weight.double().T, 1)
    assert near(out[:, :rank], x.double() @ a.bfloat16().double().T, 1)
    assert near(out[:, rank + 1 : 2 * rank + 1], x[:, 2 : 2 + part.shape[1]].double() @ part.bfloat16().double().T, 1)
    assert (out[:, rank] == 7).all() and (out[:, 2 * rank + 1 :] == 7).all()
    tall, across = thin.sums([Summed(x, u, 1.5), Summed(x, u, across=True)])
    assert near(tall, 1.5 * x.double().T @ u.double(), 16)
    assert near(across, u.double().T @ x.double(), 16)


@needs_kernel
@pytest.mark.parametrize("rows", [0, *ROWS])
@pytest.mark.parametrize(
    ("outputs", "inputs"), [(576, 192), (48, 32), (50, 34), (2, 2), (130, 66), (16, 94), (98, 128)]
)
def test_the_gradient_of_a_weight_is_that_of_float64(rows: int, outputs: int, inputs: int) -> None:
    dy, x = drawn(rows, outputs + 6)[:, 4 : outputs + 4], drawn(rows, inputs + 2, seed=1)[:, :inputs]
    thin.gradient(drawn(300, 576), drawn(300, 576))  # what a thread's buffers hold afterwards
    found = thin.gradient(dy, x)
    assert found.dtype == torch.float32 and near(found, dy.double().T @ x.double(), 16)


@needs_kernel
@pytest.mark.parametrize(("outputs", "inputs"), [(96, 576), (70, 100), (2, 33), (130, 32), (34, 1)])
def test_a_weight_laid_out_for_the_way_back_is_its_transpose_laid_out(outputs: int, inputs: int) -> None:
    weight, dy = drawn(outputs, inputs + 4, seed=2)[:, :inputs], drawn(29, outputs)
    back = thin.Wide(weight, back=True)
    assert torch.equal(back.words, thin.Wide(weight.T.contiguous()).words)
    assert near(back(dy), dy.double() @ weight.double(), 1)


@needs_kernel
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("outputs", "inputs", "ranks"), [((96, 32, 64), 576, (16, 0, 2)), ((70,), 130, (6,))])
def test_low_rank_products_are_summed_before_anything_is_rounded(
    rows: int, outputs: tuple[int, ...], inputs: int, ranks: tuple[int, ...]
) -> None:
    x, weight = drawn(rows, inputs), drawn(sum(outputs), inputs, seed=2)
    down = torch.randn(sum(ranks), inputs, generator=torch.Generator().manual_seed(3))
    u, within, expected, column, first = x.new_empty(rows, sum(ranks)), [], x.double() @ weight.double().T, 0, 0
    for size, rank in zip(outputs, ranks, strict=True):
        up = torch.randn(rank, size, generator=torch.Generator().manual_seed(4))
        if rank:
            within.append(Within(u[:, first : first + rank], up, column))
        made = (x.double() @ down[first : first + rank].bfloat16().double().T).bfloat16().double()
        expected[:, column : column + size] += made @ up.bfloat16().double()
        column, first = column + size, first + rank
    y = thin.Wide(weight)(x, [Beside(down, 0, u)], within)
    assert near(u, x.double() @ down.bfloat16().double().T, 1)
    assert near(y, expected, 2)


@needs_kernel
def test_what_is_far_below_half_a_unit_is_not_lost_in_the_mean() -> None:
    """Added to sums that are rounded already it would be lost every time, and a young adapter with it."""
    x, weight, draw = drawn(2000, 128), drawn(64, 128, seed=2), torch.Generator().manual_seed(3)
    down, up = torch.randn(16, 128, generator=draw), torch.randn(16, 64, generator=draw) * 1e-4
    u = x.new_empty(2000, 16)
    changed = thin.Wide(weight)(x, [Beside(down, 0, u)], [Within(u, up, 0)]).double() - thin.Wide(weight)(x).double()
    asked = u.double() @ up.double()
    units = torch.finfo(torch.bfloat16).eps * (x.double() @ weight.double().T).abs().mean()
    assert asked.abs().mean() < units / 10
    assert float((changed * asked).sum() / asked.square().sum()) == pytest.approx(1, abs=0.1)


@needs_kernel
@pytest.mark.parametrize(
    "shapes",
    [((64, 66), (32, 66)), ((576, 576), (192, 576), (192, 576)), ((32, 34),), ((96, 2),), ((32, 62), (64, 62))],
)
@pytest.mark.parametrize("back", [False, True])
def test_float32_weights_are_rounded_and_stacked_on_the_way(shapes: tuple[tuple[int, int], ...], back: bool) -> None:
    weights = [torch.randn(*shape, generator=torch.Generator().manual_seed(shape[0])) for shape in shapes]
    assert thin.stacks(weights)
    found, expected = thin.Wide.stacked(weights, back), thin.Wide(torch.cat(weights).bfloat16(), back)
    assert (found.outputs, found.inputs) == (expected.outputs, expected.inputs)
    assert torch.equal(found.words, expected.words)


@needs_kernel
def test_what_is_not_whole_panels_of_float32_is_not_stacked_on_the_way() -> None:
    for weight in (torch.zeros(33, 64), torch.zeros(32, 33), torch.zeros(64, 32).T, torch.zeros(32, 64).bfloat16()):
        assert not thin.stacks([torch.zeros(32, weight.shape[1]), weight])


@needs_kernel
def test_of_no_rows_there_is_no_product_and_sums_are_zero() -> None:
    none, out = drawn(0, 48), drawn(0, 16)
    assert thin.Wide(drawn(70, 48))(none, [Beside(torch.randn(16, 48), 0, out)]).shape == (0, 70)
    held = [Summed(drawn(9, 48), drawn(9, 16))]
    assert all(each.any() for each in thin.sums(held))  # what a thread's buffers hold afterwards
    tall, across = thin.sums([Summed(none, out), Summed(none, out, across=True)])
    assert tall.shape == (48, 16) and across.shape == (16, 48) and not tall.any() and not across.any()


@needs_kernel
def test_slices_of_wider_rows_are_read_as_they_lie() -> None:
    wide, u = drawn(50, 128), drawn(50, 40, seed=1)
    (made,) = thin.sums([Summed(wide[:, 32:96], u[:, 8:24])])
    assert near(made, wide[:, 32:96].double().T @ u[:, 8:24].double(), 16)
    weight = drawn(64, 96, seed=2)[:, :64]
    assert near(thin.Wide(weight)(wide[:, 64:]), wide[:, 64:].double() @ weight.double().T, 1)


@needs_kernel
def test_the_number_of_threads_changes_no_bit() -> None:
    x, u, weight = drawn(300, 96), drawn(300, 24, seed=1), drawn(160, 96, seed=2)
    held = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            made = thin.sums([Summed(x, u), Summed(x, u, 2.0, across=True)])
            found.append((thin.Wide(weight)(x), thin.gradient(x, u), *made))
    finally:
        torch.set_num_threads(held)
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_dtypes_are_computed_by_torch(dtype: torch.dtype) -> None:
    x, u, a = drawn(9, 12).to(dtype), drawn(9, 4, seed=1).to(dtype), drawn(4, 6, seed=2).to(dtype)
    assert not thin.takes(x) and packing.laid_out(x, 8) is None
    out = x.new_zeros(9, 5)
    thin.times(x, [Beside(a, 3, out[:, 1:])])
    assert torch.allclose(out[:, 1:], x[:, 3:9] @ a.T) and (out[:, 0] == 0).all()
    tall, across = thin.sums([Summed(x, u, 1.5), Summed(x, u, across=True)])
    assert tall.dtype == dtype and torch.allclose(tall, 1.5 * x.T @ u) and torch.allclose(across, u.T @ x)
    assert thin.gradient(x, u).dtype == dtype and torch.allclose(thin.gradient(x, u), x.T @ u)


def test_odd_columns_are_left_to_the_library() -> None:
    x = drawn(4, 7)
    assert not thin.takes(x) and not thin.takes(drawn(4, 8).T)
    weight = drawn(5, 7, seed=1)
    product = packing.laid_out(weight, 8)
    if product is not None:
        assert near(product(x), x.double() @ weight.double().T, 1)


EDGE = """
import ctypes, mmap, sys
import torch
from affina.engine.torch import thin
from affina.engine.torch.thin import Summed

none = torch.empty(0, 48, dtype=torch.bfloat16)
assert not thin.sums([Summed(none, none[:, :16])])[0].any()  # first: no buffer holds anything yet
page, columns = mmap.PAGESIZE, int(sys.argv[1])
held = mmap.mmap(-1, 2 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(held))
assert ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(start + page), page, 0) == 0
size = 4 * columns
x = torch.frombuffer(held, dtype=torch.bfloat16, count=size, offset=page - 2 * size).view(4, columns)
x.copy_(torch.arange(size).view(4, columns) % 7)
u = torch.ones(4, 16, dtype=torch.bfloat16)
assert torch.equal(thin.sums([Summed(x, u)])[0][:, 0], x.float().sum(0))
assert torch.equal(thin.gradient(x, u)[:, 0], x.float().sum(0))
assert torch.equal(thin.gradient(u, x)[0], x.float().sum(0))
inputs = columns // 8 * 2 - 2
weight = torch.frombuffer(held, dtype=torch.float32, count=32 * inputs, offset=page - 128 * inputs).view(32, inputs)
weight.copy_(torch.arange(32 * inputs).view(32, inputs) % 7)
for back in (False, True):
    thin.Wide.stacked([weight], back)
"""


@needs_kernel
@pytest.mark.parametrize("columns", [48, 64, 66, 80, 94, 96, 130])
def test_nothing_is_read_beyond_the_last_row_and_nothing_needs_rows(columns: int) -> None:
    """Rows that end where the memory does, in a process of its own."""
    ended = subprocess.run([sys.executable, "-c", EDGE, str(columns)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
