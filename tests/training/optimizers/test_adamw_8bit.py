"""Moments in 8 bits: the levels of the dynamic tree, the nearest of them block by block, and AdamW's path, nearly."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from affina.core.kinds import optimizers
from affina.training.blockwise import BLOCK, levels, quantised, restored

CPU = torch.device("cpu")


def read(bits: str) -> float:
    """A dynamic-tree number without its sign: leading zeros are decades, after the one comes a fraction in [0.1, 1]."""
    zeros = len(bits) - len(bits.lstrip("0"))
    fraction = bits[zeros + 1 :]
    if zeros == len(bits):
        return 0.0
    share = (int(fraction, 2) + 0.5) / 2 ** len(fraction) if fraction else 0.5
    return (0.1 + 0.9 * share) * 10.0**-zeros


@pytest.mark.parametrize("signed", [True, False])
def test_levels_are_the_bit_patterns_of_the_dynamic_tree(signed: bool) -> None:
    """Of 7 bits and a sign, or 8 bits; the seven decades of the paper, nought, and 1 itself."""
    width = 7 if signed else 8
    patterns = [format(number, f"0{width}b") for number in range(2**width)]
    sizes = [read(each) for each in patterns if len(each) - len(each.lstrip("0")) < 7]
    expected = sorted({0.0, 1.0, *sizes, *(-each for each in sizes if signed)})
    found = levels(signed, CPU)
    assert len(found) == len(expected) == 256
    assert torch.allclose(found.double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("shape", [(1,), (255,), (256,), (257,), (3, 300), (2, 3, 200)])
@pytest.mark.parametrize("signed", [True, False])
def test_codes_are_the_nearest_levels_block_by_block(shape: tuple[int, ...], signed: bool) -> None:
    draw = torch.Generator().manual_seed(len(shape))
    values = torch.randn(shape, generator=draw) * torch.logspace(-6, 2, math.prod(shape)).view(shape)
    values = values if signed else values.square()
    codes, scales = quantised(values, signed)
    assert codes.shape == values.shape and codes.dtype == torch.uint8
    assert scales.shape == (-(-values.numel() // BLOCK),) and scales.dtype == torch.float32
    known, flat, found = levels(signed, CPU).numpy(), values.flatten().numpy(), restored(codes, scales, signed)
    assert found.shape == values.shape
    for start in range(0, len(flat), BLOCK):
        block = flat[start : start + BLOCK]
        largest = np.abs(block).max()
        allowed = known if signed else known[1:]  # nought stands for nought alone
        away = np.abs(block[:, None] / largest - allowed[None])
        mine = found.flatten().numpy()[start : start + BLOCK] / largest
        assert np.allclose(np.abs(block / largest - mine), away.min(1), rtol=0, atol=2e-7)


def test_the_largest_of_a_block_is_exact_and_no_square_becomes_nought() -> None:
    values = torch.rand(10 * BLOCK, generator=torch.Generator().manual_seed(0)) ** 20
    values[7 * BLOCK : 8 * BLOCK] = 0
    found = restored(*quantised(values, signed=False), signed=False)
    for block, back in zip(values.view(-1, BLOCK), found.view(-1, BLOCK), strict=True):
        assert float(back.max()) == float(block.max())
    assert torch.equal(found == 0, values == 0) and float(values.min()) == 0


def run(name: str, steps: int, size: int = 128) -> tuple[list[float], torch.optim.Optimizer, nn.Parameter]:
    """Fits a matrix of size × size to noisy products of a hidden one: the losses, and what did it."""
    draw = torch.Generator().manual_seed(1)
    hidden = torch.randn(size, size, generator=draw)
    weight = nn.Parameter(torch.zeros(size, size))
    built = optimizers.build(name).build({"weight": weight})
    losses = []
    for step in range(steps):
        given = torch.randn(64, size, generator=draw)
        loss = (given @ (weight - hidden).T + 0.1 * torch.randn(64, size, generator=draw)).square().mean()
        weight.grad = torch.autograd.grad(loss, weight)[0]
        for group in built.param_groups:
            group["lr"] = 0.03 * (1 - step / steps)
        built.step()
        losses.append(float(loss.detach()))
    return losses, built, weight


def test_a_number_has_two_bytes_of_state_and_a_32nd() -> None:
    _, built, weight = run("adamw_8bit", 1)
    kept = sum(value.nbytes for value in built.state[weight].values())
    assert kept == 2 * weight.numel() + 2 * 4 * weight.numel() // 256 + 8  # codes, scales, the count of steps
    _, plain, weight = run("adamw", 1)
    assert sum(value.nbytes for value in plain.state[weight].values()) == 8 * weight.numel() + 4


def test_small_tensors_keep_float32_moments_and_step_as_adamw() -> None:
    found, expected = (run(name, 20, size=32) for name in ("adamw_8bit", "adamw"))
    assert {value.dtype for value in found[1].state[found[2]].values()} == {torch.float32, torch.float64}
    assert torch.allclose(found[2], expected[2], rtol=0, atol=1e-6)


def test_the_path_is_near_adamws() -> None:
    """Over 400 steps the loss falls from 130 to some 0.03; in 8 bits too, and the weights end within 1 %."""
    found, expected = run("adamw_8bit", 400), run("adamw", 400)
    assert expected[0][-1] < 0.001 * expected[0][0]
    assert all(abs(a - b) < 0.3 * b for a, b in zip(found[0], expected[0], strict=True))
    assert float((found[2] - expected[2]).detach().norm() / expected[2].detach().norm()) < 0.01
    assert not torch.equal(found[2], expected[2])
