"""The chunked head is log_softmax and gather, forward and backward, whatever its chunks, scale, soft cap and weight."""

import math
import subprocess
import sys
from typing import Any

import pytest
import torch

from affina.engine.torch import head
from affina.engine.torch.head import WordHead

S, D, V = 37, 16, 101
SHAPES = [(1.0, None), (0.25, None), (1.0, 3.0), (4.0, 2.0)]


def inputs(trainable: bool, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(S, D, generator=draw).to(dtype).requires_grad_(True)
    weight = torch.randn(V, D, generator=draw).to(dtype).requires_grad_(trainable)
    return hidden, weight, torch.randint(0, V, (S,), generator=draw)


def plain(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, scale: float, cap: float | None) -> Any:
    logits = torch.nn.functional.linear(hidden, weight) * scale
    logits = logits if cap is None else torch.tanh(logits / cap) * cap
    return torch.nn.functional.log_softmax(logits.float(), -1).gather(1, targets[:, None])[:, 0]


def apart(a: torch.Tensor | None, b: torch.Tensor | None) -> float:
    assert a is not None and b is not None
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("chunk", [1, 4 * V * 5, 4 * V * S, 64 << 20])
@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize(("scale", "cap"), SHAPES)
def test_values_and_gradients_are_those_of_log_softmax(
    scale: float, cap: float | None, trainable: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(head.TILE_BYTES, "cpu", chunk)
    weights_S = torch.randn(S, generator=torch.Generator().manual_seed(1))
    own, theirs = inputs(trainable), inputs(trainable)
    found = WordHead(own[1], torch.float32, scale, cap).logprobs(own[0], own[2])
    expected = plain(*theirs, scale, cap)
    assert found.dtype == torch.float32 and apart(found.detach(), expected.detach()) < 1e-6
    torch.autograd.backward((found * weights_S).sum())
    (expected * weights_S).sum().backward()
    assert apart(own[0].grad, theirs[0].grad) < 2e-6
    if trainable:
        assert apart(own[1].grad, theirs[1].grad) < 2e-6
    else:
        assert own[1].grad is None


def test_a_tied_weight_gets_both_gradients() -> None:
    grads = []
    tokens = torch.arange(S) % V
    for compute in ("chunked", "plain"):
        _, weight, targets = inputs(True)
        hidden = torch.tanh(torch.nn.functional.embedding(tokens, weight))
        made = WordHead(weight, torch.float32).logprobs(hidden, targets) if compute == "chunked" else plain(
            hidden, weight, targets, 1.0, None
        )  # fmt: skip
        torch.autograd.backward(made.sum())
        grads.append(weight.grad)
    assert apart(*grads) < 2e-6


def test_a_trainable_head_under_states_that_need_no_gradient() -> None:
    hidden, weight, targets = inputs(True)
    expected_weight = weight.detach().clone().requires_grad_(True)
    torch.autograd.backward(WordHead(weight, torch.float32).logprobs(hidden.detach(), targets).sum())
    plain(hidden.detach(), expected_weight, targets, 1.0, None).sum().backward()
    assert apart(weight.grad, expected_weight.grad) < 2e-6


def test_in_bf16_products_round_and_sums_do_not() -> None:
    # Logits of size ~4 rounded to 8 bits of mantissa: at most 2^-8 · 16 = 0.06 each; a sum of 101 averages it out.
    hidden, weight, targets = inputs(False)
    found = WordHead(weight, torch.bfloat16).logprobs(hidden, targets)
    expected = plain(hidden, weight, targets, 1.0, None)
    assert found.dtype == torch.float32
    assert float((found - expected).detach().abs().max()) < 0.15 and apart(found.detach(), expected.detach()) < 0.01
    (grad,) = torch.autograd.grad(found.sum(), hidden)
    (expected_grad,) = torch.autograd.grad(expected.sum(), hidden)
    assert apart(grad, expected_grad) < 0.02


def test_extreme_logits_stay_finite() -> None:
    hidden = torch.full((2, D), 1e3, requires_grad=True)
    weight = torch.linspace(-1, 1, V)[:, None].expand(V, D).contiguous()
    found = WordHead(weight, torch.float32).logprobs(hidden, torch.tensor([V - 1, 0]))
    torch.autograd.backward(found.sum())
    # The spread of the logits is 2 · 16 · 1e3 = 32 000 nats: the likeliest has log-probability 0, the least -32 000.
    assert found.tolist() == [0.0, pytest.approx(-32_000, rel=1e-5)]
    assert hidden.grad is not None and torch.isfinite(hidden.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_positions_give_no_numbers(dtype: torch.dtype) -> None:
    hidden, weight, targets = inputs(True, dtype)
    none = WordHead(weight, dtype).logprobs(hidden[:0], targets[:0])
    torch.autograd.backward(none.sum())
    assert none.shape == (0,) and weight.grad is not None and not weight.grad.any()


def test_a_certain_target_keeps_its_digits() -> None:
    # One logit of 25 among V - 1 zeros: log p = -log(1 + (V - 1)·e^-25) = -1.4e-9, below float32's resolution at 1.
    hidden = torch.zeros(1, D).index_fill_(1, torch.tensor([0]), 25.0).requires_grad_(True)
    weight = torch.zeros(V, D)
    weight[3, 0] = 1.0
    (found,) = WordHead(weight, torch.float32).logprobs(hidden, torch.tensor([3]))
    rest = (V - 1) * math.exp(-25)
    assert float(found.detach()) == pytest.approx(-math.log1p(rest), rel=1e-5)
    torch.autograd.backward(found)
    assert hidden.grad is not None and float(hidden.grad[0, 0]) == pytest.approx(rest / (1 + rest), rel=1e-5)


@pytest.mark.parametrize("trainable", [False, True])
def test_float64_keeps_its_digits(trainable: bool) -> None:
    hidden, weight, targets = inputs(False)
    own, theirs = (
        (hidden.detach().double().requires_grad_(True), weight.double().requires_grad_(trainable)) for _ in range(2)
    )
    found = WordHead(own[1], torch.float64, 0.5, 3.0).logprobs(own[0], targets)
    logits = torch.tanh(theirs[0] @ theirs[1].T * 0.5 / 3.0) * 3.0
    expected = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    assert found.dtype == torch.float64 and apart(found.detach(), expected.detach()) < 1e-14
    torch.autograd.backward(found.sum())
    torch.autograd.backward(expected.sum())
    assert apart(own[0].grad, theirs[0].grad) < 1e-13
    assert not trainable or apart(own[1].grad, theirs[1].grad) < 1e-13


GROWTH = """
import resource, sys, torch
from affina.engine.torch.head import WordHead
torch.set_num_threads(1)
trainable = sys.argv[1] == "trainable"
words, width, size = 262_144, 64, 400
weight = torch.ones(words, width, dtype=torch.float32 if trainable else torch.bfloat16).requires_grad_(trainable)
hidden = torch.ones(size, width, dtype=torch.bfloat16).requires_grad_(True)
small = torch.ones(8, 8, dtype=torch.bfloat16); small @ small
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
WordHead(weight, torch.bfloat16).logprobs(hidden, torch.arange(size)).sum().backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize(("kind", "gradient"), [("frozen", 0), ("trainable", 64)])
def test_a_vocabulary_of_256k_stays_within_the_bound(kind: str, gradient: int) -> None:
    # 400 positions: 400 MiB of float32 logits at once; a trainable weight's own gradient is 256k·64·4 = 64 MiB.
    done = subprocess.run([sys.executable, "-c", GROWTH, kind], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= gradient + 64


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("scale", "cap"), SHAPES)
def test_everywhere_is_what_targets_are_given(scale: float, cap: float | None, biased: bool) -> None:
    hidden, weight, targets = inputs(trainable=False)
    bias = torch.randn(V, generator=torch.Generator().manual_seed(2)) if biased else None
    given = WordHead(weight, torch.float32, scale, cap, bias)
    everywhere = given.everywhere(hidden).detach()
    assert everywhere.shape == (S, V)
    expected = torch.nn.functional.linear(hidden, weight, bias) * scale
    expected = (expected if cap is None else torch.tanh(expected / cap) * cap).log_softmax(-1)
    assert apart(everywhere, expected.detach()) < 1e-6
    assert apart(given.logprobs(hidden, targets).detach(), everywhere[torch.arange(S), targets]) < 2e-6
