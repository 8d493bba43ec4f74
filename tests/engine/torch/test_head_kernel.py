"""The kernel of the sums over all words: held to float64 arithmetic on the same numbers, at every edge of a tile."""

import subprocess
import sys
from itertools import product

import pytest
import torch

from affina.engine.torch import head_kernel
from affina.engine.torch.head import WordHead

pytestmark = pytest.mark.skipif(
    head_kernel.kernel() is None, reason="no compiler, or no bf16 products on this processor"
)

SIZES = (1, 11, 48, 49, 289, 700)
SHAPES = ((192, 64), (193, 66), (7, 2), (1000, 130), (416, 576))  # words, width
WAYS = ((1.0, None), (0.25, 3.0), (2.0, 30.0))  # scale, soft cap


def drawn(
    size: int, words: int, width: int, kind: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states, a weight, targets, and the gradient of what is asked."""
    draw = torch.Generator().manual_seed(size * words)
    hidden = torch.randn(size, width, generator=draw).bfloat16()
    weight = (torch.randn(words, width, generator=draw) * 0.3).to(kind)
    return hidden, weight, torch.randint(0, words, (size,), generator=draw), torch.randn(size, generator=draw)


def asked(
    head: WordHead, hidden: torch.Tensor, targets: torch.Tensor, upstream: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """Log-probabilities, and the gradients in the states and in the weight."""
    found = head.logprobs(hidden, targets)
    torch.autograd.backward((found * upstream).sum())
    return found.detach(), hidden.grad, head.weight_VD.grad


def exact(
    scale: float,
    cap: float | None,
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    upstream: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same in float64 by autograd, of the numbers as they are multiplied."""
    hidden, weight = (each.detach().bfloat16().double().requires_grad_() for each in (hidden, weight))
    logits = hidden @ weight.T * scale
    logits = logits if cap is None else torch.tanh(logits / cap) * cap
    found = torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0]
    return found.detach(), *torch.autograd.grad((found * upstream).sum(), (hidden, weight))


def apart(found: torch.Tensor | None, expected: torch.Tensor) -> float:
    assert found is not None
    return float((found.double() - expected).norm() / expected.norm().clamp(min=1e-30))


@pytest.mark.parametrize("most_kept", [0, head_kernel.MOST_KEPT])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("scale", "cap"), WAYS)
def test_values_and_gradients_are_those_of_float64(
    scale: float, cap: float | None, kind: torch.dtype, most_kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_kernel, "MOST_KEPT", most_kept)
    for size, (words, width) in product(SIZES, SHAPES):
        hidden, weight, targets, upstream = drawn(size, words, width, kind)
        head = WordHead(weight.requires_grad_(), torch.bfloat16, scale, cap)
        assert head_kernel.takes(hidden, weight)
        found, in_hidden, in_weight = asked(head, hidden.requires_grad_(), targets, upstream)
        expected, of_hidden, of_weight = exact(scale, cap, hidden, weight, targets, upstream)
        # logits are never rounded: sums of at most 576 products in float32
        assert float((found - expected).abs().max()) < 4e-5
        assert apart(in_hidden, of_hidden) < 2**-8 + 2**-9 and apart(in_weight, of_weight) < 2**-8


def test_many_positions_are_summed_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_kernel, "MOST_KEPT", 0)
    hidden, weight, targets, upstream = drawn(4099, 200, 34, torch.bfloat16)
    _, _, found = asked(WordHead(weight.requires_grad_(), torch.bfloat16), hidden.requires_grad_(), targets, upstream)
    assert apart(found, exact(1.0, None, hidden, weight, targets, upstream)[2]) < 2**-8


def test_states_may_lie_column_by_column() -> None:
    hidden, weight, targets, upstream = drawn(60, 1000, 66, torch.bfloat16)
    turned = hidden.T.contiguous().T.requires_grad_()
    expected = asked(WordHead(weight, torch.bfloat16), hidden.requires_grad_(), targets, upstream)
    found = asked(WordHead(weight, torch.bfloat16), turned, targets, upstream)
    assert found[1] is not None and expected[1] is not None and torch.equal(found[1], expected[1])


def test_a_bias_is_part_of_the_sums() -> None:
    hidden, weight, targets, _ = drawn(60, 1000, 66, torch.bfloat16)
    bias = torch.randn(1000, generator=torch.Generator().manual_seed(5)).bfloat16()
    found = WordHead(weight, torch.bfloat16, bias_V=bias).logprobs(hidden, targets)
    logits = hidden.double() @ weight.double().T + bias.double()
    assert float((found - torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0]).abs().max()) < 4e-5


@pytest.mark.parametrize("rows", [60, 300])
def test_words_that_cannot_come_have_no_part_in_the_sums(rows: int) -> None:
    """A bias of -∞ on the words of a whole part and more, from the first on."""
    hidden, weight, targets, _ = drawn(rows, 8000, 66, torch.bfloat16)
    bias = torch.zeros(8000).bfloat16()
    bias[:1500] = -torch.inf
    targets = targets.clamp(min=1500)
    with torch.no_grad():
        found = WordHead(weight, torch.bfloat16, bias_V=bias).logprobs(hidden, targets)
    logits = hidden.double() @ weight.double().T + bias.double()
    assert float((found - torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0]).abs().max()) < 4e-5


def test_without_a_gradient_to_come_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, targets, _ = drawn(60, 1000, 66, torch.float32)
    asked_for = []
    monkeypatch.setattr(head_kernel.Head, "_room", lambda self, call: asked_for.append(call))
    head = WordHead(weight.requires_grad_(), torch.bfloat16)
    with torch.no_grad():
        head.logprobs(hidden, targets)
    assert not asked_for
    head.logprobs(hidden, targets)
    assert len(asked_for) == 1


def test_a_frozen_weight_or_frozen_states_need_nothing_of_the_other() -> None:
    hidden, weight, targets, upstream = drawn(60, 1000, 66, torch.float32)
    both = asked(
        WordHead(weight.clone().requires_grad_(), torch.bfloat16), hidden.clone().requires_grad_(), targets, upstream
    )
    states = asked(WordHead(weight, torch.bfloat16), hidden.clone().requires_grad_(), targets, upstream)
    words = asked(WordHead(weight.clone().requires_grad_(), torch.bfloat16), hidden, targets, upstream)
    assert torch.equal(both[0], states[0]) and torch.equal(both[0], words[0])
    assert states[2] is None and both[1] is not None and states[1] is not None and torch.equal(both[1], states[1])
    assert words[1] is None and both[2] is not None and words[2] is not None and torch.equal(both[2], words[2])


@pytest.mark.parametrize("words", [1000, 5000])
@pytest.mark.parametrize("rows", [60, 700])
def test_rows_and_threads_change_no_bit(rows: int, words: int) -> None:
    hidden, weight, targets, upstream = drawn(rows, words, 130, torch.bfloat16)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            head = WordHead(weight.clone().requires_grad_(), torch.bfloat16)
            found.append(asked(head, hidden.clone().requires_grad_(), targets, upstream))
    finally:
        torch.set_num_threads(before)
    for each in found[1:]:
        for one, other in zip(found[0], each, strict=True):
            assert one is not None and other is not None and torch.equal(one, other)
    for few in (slice(33, 34), slice(30, 45)):
        head = WordHead(weight, torch.bfloat16)
        alone, in_hidden, _ = asked(head, hidden[few].clone().requires_grad_(), targets[few], upstream[few])
        assert torch.equal(alone, found[0][0][few])
        assert in_hidden is not None and found[0][1] is not None and torch.equal(in_hidden, found[0][1][few])


def test_the_likeliest_word_may_come_last_first_or_be_certain() -> None:
    words, width = 400, 64
    weight, hidden = torch.zeros(words, width).bfloat16(), torch.zeros(3, width).bfloat16()
    weight[0, 0], weight[-1, 1], weight[200, 2] = 1.0, 1.0, 1.0
    hidden[0, 0], hidden[1, 1], hidden[2, 2] = 40.0, 90.0, 25.0
    targets = torch.tensor([3, 3, 200])
    found = WordHead(weight, torch.bfloat16).logprobs(hidden, targets)
    expected = torch.log_softmax(hidden.double() @ weight.double().T, -1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("cap", [None, 30.0])
def test_what_is_not_a_number_shows(cap: float | None) -> None:
    hidden, weight, targets, _ = drawn(5, 500, 64, torch.bfloat16)
    hidden[2, 3] = float("nan")
    found = WordHead(weight, torch.bfloat16, 1.0, cap).logprobs(hidden, targets)
    assert found.isnan().tolist() == [False, False, True, False, False]


def test_other_shapes_and_dtypes_are_left_to_the_library() -> None:
    hidden, weight, _, _ = drawn(5, 500, 64, torch.bfloat16)
    assert head_kernel.takes(hidden, weight) and head_kernel.takes(hidden, weight.float())
    assert not head_kernel.takes(hidden.float(), weight)
    assert not head_kernel.takes(hidden, weight.double())
    assert not head_kernel.takes(hidden[:, :63], weight[:, :63].contiguous())
    assert not head_kernel.takes(hidden, weight.T.contiguous().T)


EDGE = """
import mmap, ctypes, torch
from affina.engine.torch.head import WordHead

def at_the_edge(tensor):
    # the same numbers, of which the last byte is the last that may be read
    size = tensor.numel() * tensor.element_size()
    whole = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    area = mmap.mmap(-1, whole + mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + whole), mmap.PAGESIZE, 0) == 0
    held = (ctypes.c_char * size).from_address(start + whole - size)
    made = torch.frombuffer(held, dtype=tensor.dtype).view(tensor.shape)
    made.copy_(tensor)
    keep.append(area)
    return made

keep = []
half, full = torch.bfloat16, torch.float32
for size, words, width, kind in [(5, 193, 66, half), (13, 97, 34, full), (50, 33, 2, half)]:
    hidden = at_the_edge(torch.randn(size, width).bfloat16()).requires_grad_()
    weight = at_the_edge(torch.randn(words, width).to(kind)).requires_grad_()
    WordHead(weight, torch.bfloat16).logprobs(hidden, at_the_edge(torch.arange(size) % words)).sum().backward()
print("read")
"""


def test_nothing_is_read_beyond_the_last_number() -> None:
    done = subprocess.run([sys.executable, "-c", EDGE], capture_output=True, text=True)
    assert done.stdout.strip() == "read", done.stderr[-2000:]
