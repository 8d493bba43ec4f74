"""The attention kernels compute what attention in torch computes: outputs, gradients, and nothing of a neighbour."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.errors import Failed
from affina.core.kinds import Ints, Segment
from affina.engine.torch import attention, flash, native
from affina.engine.torch.dropped import FIRST, SECOND, STEP
from affina.engine.torch.flash import Rule

FLOAT32 = 1e-5  # largest difference from float64, of the largest number
LEAST = 1.0  # what "the largest number" is at least: a lone token's gradient is 0 but for rounding, inputs are about 1
BF16 = 1.5  # times the error that torch's own bf16 path makes on the same numbers, or …
LEAST_BF16 = 2e-2  # … this: in 100 random batches the kernels were up to 0.007 off, torch up to 0.016
Tensors = tuple[torch.Tensor, ...]
pytestmark = pytest.mark.skipif(native.library() is None, reason=f"no kernels: {native.reason()}")


def grown(lengths: list[int], parents: list[int]) -> list[Segment]:
    """Segments of these lengths, the n-th under `parents[n]` taken modulo what is there; a third of them are roots."""
    segments: list[Segment] = []
    for n, (length, parent) in enumerate(zip(lengths, parents, strict=False)):
        start = segments[-1].stop if segments else 0
        segments.append(Segment(start, start + length, parent % n if n and parent % 3 else -1))
    return segments


lengths = st.lists(st.one_of(st.just(1), st.integers(1, 40), st.integers(60, 200)), min_size=1, max_size=7)
parents = st.lists(st.integers(0, 100), min_size=7, max_size=7)
forests = st.builds(grown, lengths, parents)
rules = st.builds(
    Rule,
    scale=st.sampled_from([0.5, 1.0]),
    causal=st.booleans(),
    window=st.sampled_from([None, 1, 5, 70]),
    softcap=st.sampled_from([None, 2.0, 30.0]),
)
shapes = st.sampled_from(
    [(1, 1, 64), (9, 3, 64), (4, 4, 16), (6, 1, 80), (2, 2, 6), (5, 1, 34), (70, 1, 2), (2, 1, 256)]
)


def table(segments: list[Segment]) -> Ints:
    return np.array([(each.start, each.stop, each.parent) for each in segments], dtype=np.int64)


def drawn(tokens: int, shape: tuple[int, int, int], seed: int = 0) -> Tensors:
    """query, key, value and the gradient of the output; the first three side by side in one buffer."""
    heads, groups, width = shape
    draw = torch.Generator().manual_seed(seed)
    together = torch.randn(tokens, (heads + 2 * groups) * width, generator=draw)
    parts = together.split([heads * width, groups * width, groups * width], 1)
    gradient = torch.randn(tokens, heads, width, generator=draw)
    return (*(part.view(tokens, -1, width) for part in parts), gradient)


def usual(rule: Rule, shape: tuple[int, int, int]) -> Rule:
    """The scale as models have it, D^-1/2 or half of it: rounding grows with the scores."""
    return replace(rule, scale=rule.scale * shape[2] ** -0.5)


def by_torch(given: Tensors, segments: list[Segment], rule: Rule) -> Tensors:
    module = torch.nn.Module()
    module.is_causal = rule.causal  # type: ignore[assignment]
    leaves = [each.detach().clone().requires_grad_() for each in given[:3]]
    with attention.computing(segments):
        out, _ = attention.forest_attention(
            module, *(each.transpose(0, 1)[None] for each in leaves), None, scaling=rule.scale,
            sliding_window=rule.window, softcap=rule.softcap,
        )  # fmt: skip
    return (out[0].detach(), *torch.autograd.grad(out[0], leaves, given[3]))


def by_kernels(given: Tensors, segments: list[Segment], rule: Rule) -> Tensors:
    leaves = [each.detach().requires_grad_() for each in given[:3]]
    assert flash.takes(*leaves, rule)
    out = flash.attend(*leaves, table(segments), rule)
    return (out.detach(), *torch.autograd.grad(out, leaves, given[3]))


def apart(found: Tensors, expected: Tensors) -> list[float]:
    return [
        float((a.double() - b).abs().max() / b.abs().max().clamp_min(LEAST))
        for a, b in zip(found, expected, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(forests, shapes, rules)
def test_in_float32_outputs_and_gradients_are_those_of_float64(
    segments: list[Segment], shape: tuple[int, int, int], rule: Rule
) -> None:
    given, rule = drawn(segments[-1].stop, shape), usual(rule, shape)
    expected = by_torch(tuple(each.double() for each in given), segments, rule)
    assert max(apart(by_kernels(given, segments, rule), expected)) <= FLOAT32


@settings(max_examples=60, deadline=None)
@given(forests, shapes, rules)
def test_in_float32_a_row_has_the_bits_it_has_alone(
    segments: list[Segment], shape: tuple[int, int, int], rule: Rule
) -> None:
    given, rule = drawn(segments[-1].stop, shape)[:3], usual(rule, shape)
    out, lse = flash.forward(*given, table(segments), rule)
    for segment in segments:
        path = [segment]
        while path[0].parent >= 0:
            path.insert(0, segments[path[0].parent])
        places = torch.cat([torch.arange(each.start, each.stop) for each in path])
        own = segment.stop - segment.start
        alone = tuple(each[places] for each in given)
        expected, expected_lse = flash.forward(*alone, table([Segment(0, len(places), -1)]), rule)
        assert torch.equal(out[segment.start : segment.stop], expected[-own:])
        assert torch.equal(lse[:, segment.start : segment.stop], expected_lse[:, -own:])


def test_in_float32_gradients_add_up_where_a_query_sees_little_but_one_key() -> None:
    """Of a gradient in two parts, exact in float32, the parts' gradients are its own: nothing of what nearly cancels is
    lost. In float32 alone 9e-4 of it was; measured 7e-7."""
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(40, heads, 64, generator=draw) for heads in (3, 1, 1))
    common = torch.randn(64, generator=draw)
    query, key[0] = query + common, common * 1.3
    first, second = (torch.randn(40, 3, 64, generator=draw).mul(64).round() / 64 for _ in range(2))
    segments, rule = [Segment(0, 40, -1)], Rule(scale=64**-0.5)
    parts = [by_kernels((query, key, value, gradient), segments, rule) for gradient in (first, second, first + second)]
    for one, other, both in zip(*(part[1:] for part in parts), strict=True):
        assert float((one + other - both).abs().max() / both.abs().max()) <= 3e-6


@settings(max_examples=60, deadline=None)
@given(forests, shapes, rules)
def test_in_bf16_the_error_is_that_of_torch(segments: list[Segment], shape: tuple[int, int, int], rule: Rule) -> None:
    given, rule = tuple(each.bfloat16() for each in drawn(segments[-1].stop, shape)), usual(rule, shape)
    expected = by_torch(tuple(each.double() for each in given), segments, rule)
    found, others = (apart(path(given, segments, rule), expected) for path in (by_kernels, by_torch))
    for own, other in zip(found, others, strict=True):
        assert own <= max(BF16 * other, LEAST_BF16)


def staying(rule: Rule, heads: int, tokens: int) -> torch.Tensor:
    """[heads, queries, keys] whether a weight stays, as `native/dropped.h` draws it."""

    def codes(places: Any) -> Any:
        z = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(STEP) + np.uint64(rule.seed)
        z = (z ^ z >> np.uint64(30)) * np.uint64(FIRST)
        z = (z ^ z >> np.uint64(27)) * np.uint64(SECOND)
        return ((z ^ z >> np.uint64(31)) >> np.uint64(32)).astype(np.uint32)

    rows = codes(np.arange(heads * tokens)).reshape(heads, tokens, 1)
    drawn = (rows ^ codes(heads * tokens + np.arange(tokens))) * np.uint32(0x7FEB352D)
    drawn = (drawn ^ drawn >> np.uint32(15)) * np.uint32(0x846CA68B)
    return torch.from_numpy(drawn >> np.uint32(16) >= rule.parts)


def densely(given: Tensors, segments: list[Segment], rule: Rule, rounded: torch.Tensor) -> Tensors:
    """Every score of every pair in float64, what is not seen or not kept left out.

    Backward takes the mean off the scores' gradients, which is that of the outputs as they are kept: `rounded`.
    """
    leaves = [each.detach().double().requires_grad_() for each in given[:3]]
    (tokens, heads, _), shared = leaves[0].shape, given[0].shape[1] // given[1].shape[1]
    depths, seen = torch.zeros(tokens, dtype=torch.long), torch.zeros(tokens, tokens, dtype=torch.bool)
    for each, runs in zip(segments, attention.runs_of(segments), strict=True):
        above = sum(stop - start for start, stop in runs[:-1])
        depths[each.start : each.stop] = torch.arange(above, above + each.stop - each.start)
        for start, stop in runs:
            seen[each.start : each.stop, start:stop] = True
    apart = depths[:, None] - depths
    seen &= (apart >= 0) | (not rule.causal)
    seen &= apart.abs() < (rule.window or tokens + 1)
    key, value = (each.repeat_interleave(shared, 1) for each in leaves[1:])
    scores = attention.capped(torch.einsum("qhd,khd->hqk", leaves[0], key) * rule.scale, rule.softcap)
    scores = scores.masked_fill(~seen, float("-inf"))
    weights = scores.softmax(-1) * staying(rule, heads, tokens) * (2**16 / (2**16 - rule.parts))
    out = torch.einsum("hqk,khd->qhd", weights, value)
    dout, shifted = given[3].double(), out.detach() - rounded.double()
    lost = torch.einsum("qhd,qhd->hq", dout, shifted)  # the log-sum-exp's gradient is the weights, as the mean's is
    return (out.detach(), *torch.autograd.grad([out, scores.logsumexp(-1)], leaves, [dout, lost]))


@settings(max_examples=40, deadline=None)
@given(forests, shapes, rules, st.sampled_from([1, 6554, 16384, 32768]), st.integers(0, 2**63 - 1))
def test_weights_are_dropped_after_the_softmax(
    segments: list[Segment], shape: tuple[int, int, int], rule: Rule, parts: int, seed: int
) -> None:
    """What stays is larger by 1 / (1 - share), and so is its rounding."""
    given, rule = drawn(segments[-1].stop, shape), replace(usual(rule, shape), parts=parts, seed=seed)
    larger = 2**16 / (2**16 - parts)
    for inputs, bound in ((given, FLOAT32), (tuple(each.bfloat16() for each in given), LEAST_BF16)):
        found = by_kernels(inputs, segments, rule)
        assert max(apart(found, densely(inputs, segments, rule, found[0]))) <= bound * larger


def test_a_share_of_the_weights_is_dropped_in_every_row_and_column() -> None:
    stays = staying(Rule(1.0, parts=6554, seed=9), 4, 1000).double()
    share = 6554 / 2**16
    assert float(stays.mean()) == pytest.approx(1 - share, abs=1e-3)
    for side in (1, 2):
        assert float((stays.mean(side) - (1 - share)).abs().max()) < 5.5 * (share * (1 - share) / 1000) ** 0.5
    for together in ((stays[:, 1:] * stays[:, :-1]), (stays[..., 1:] * stays[..., :-1]), (stays[1:] * stays[:-1])):
        assert float(together.mean()) == pytest.approx((1 - share) ** 2, abs=2e-3)


def test_attention_that_drops_draws_anew_in_training_and_not_at_rest() -> None:
    given, segments = drawn(50, (4, 4, 32)), grown([20, 30], [0, 0])
    module = torch.nn.Module()
    module.is_causal = False  # type: ignore[assignment]
    lent = [each.transpose(0, 1)[None] for each in given[:3]]

    def called(share: float) -> torch.Tensor:
        with attention.computing(segments, kernels=True):
            return attention.forest_attention(module, *lent, dropout=share)[0]

    torch.manual_seed(1)
    first, second = called(0.1), called(0.1)
    torch.manual_seed(1)
    assert torch.equal(called(0.1), first)
    assert not torch.equal(first, second)
    assert not called(1.0).any()  # of everything nothing stays
    many = torch.stack([called(0.1) for _ in range(400)])
    assert float((many.mean(0) - called(0.0)).abs().max()) < 6 * float(many.std(0).max()) / 20


@pytest.mark.parametrize("causal", [True, False])
def test_every_window_ends_at_the_distance_it_says(causal: bool) -> None:
    """Tokens at depths 0 to 2, 3 to 6, 7 to 8 and, beside these, 7: each window ends between two of them."""
    segments = grown([3, 4, 2, 1], [0, 1, 1, 4])
    assert [each.parent for each in segments] == [-1, 0, 1, 1]
    given = drawn(10, (2, 1, 16))
    for window in range(1, 11):
        rule = Rule(0.25, causal, window)
        expected = by_torch(tuple(each.double() for each in given), segments, rule)
        assert max(apart(by_kernels(given, segments, rule), expected)) <= FLOAT32


@settings(max_examples=20, deadline=None)
@given(forests, rules, st.integers(0, 10**6), st.sampled_from([torch.float32, torch.bfloat16]))
def test_changing_a_segment_changes_no_bit_of_those_that_do_not_see_it(
    segments: list[Segment], rule: Rule, pick: int, dtype: torch.dtype
) -> None:
    given = tuple(each.to(dtype) for each in drawn(segments[-1].stop, (6, 2, 32)))
    chosen = pick % len(segments)
    within = slice(segments[chosen].start, segments[chosen].stop)
    others = tuple(each.clone() for each in given)
    for each in others:
        each[within] = float("nan")
    reached = torch.zeros(segments[-1].stop, dtype=torch.bool)
    above = {chosen}
    while segments[min(above)].parent >= 0:
        above.add(segments[min(above)].parent)
    below: set[int] = set()
    for n, each in enumerate(segments):
        if n == chosen or each.parent in below:
            below.add(n)
            reached[each.start : each.stop] = True
    related = reached.clone()  # a gradient of a key comes from every query that sees it
    for n in range(len(segments)):
        up = n
        while up >= 0 and n in below:
            related[segments[up].start : segments[up].stop] = True
            up = segments[up].parent
    before, after = (by_kernels(each, segments, rule) for each in (given, others))
    for n, (a, b) in enumerate(zip(before, after, strict=True)):
        untouched = ~(reached if n < 2 else related)
        assert torch.equal(a[untouched], b[untouched])


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_bits_are_the_same_every_time_and_for_any_number_of_threads(dtype: torch.dtype) -> None:
    segments = [Segment(0, 500, -1), *(Segment(500 + 20 * n, 520 + 20 * n, 0) for n in range(4)), Segment(580, 700, -1)]
    given = tuple(each.to(dtype) for each in drawn(700, (9, 3, 64)))
    results = []
    for count in (1, 2, 3, 2):
        with threads(count):
            results.append(by_kernels(given, segments, Rule(0.125)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_the_log_sum_exp_and_strided_gradients_are_what_they_say() -> None:
    segments, rule = [Segment(0, 90, -1), Segment(90, 100, 0)], Rule(0.3)
    query, key, value, gradient = drawn(100, (4, 2, 16))
    out, lse = flash.forward(query, key, value, table(segments), rule)
    scores = torch.einsum("qhd,khd->hqk", query, key.repeat_interleave(2, 1)) * 0.3
    hidden = torch.ones(100, 100, dtype=torch.bool).triu(1)
    assert torch.allclose(lse, scores.masked_fill(hidden, float("-inf")).logsumexp(-1), atol=1e-5)
    together = torch.full((100, 8 * 16), float("nan"))
    into = flash.Gradients(*(part.view(100, -1, 16) for part in together.split([64, 32, 32], 1)))
    flash.backward(gradient, flash.Saved(query, key, value, out, lse), into, table(segments), rule)
    for found, expected in zip(into, by_kernels((query, key, value, gradient), segments, rule)[1:], strict=True):
        assert torch.equal(found, expected)


def test_heads_that_lie_far_apart_and_an_expanded_gradient_are_read_where_they_are() -> None:
    segments, rule = [Segment(0, 70, -1)], Rule(0.2)
    given = drawn(70, (4, 2, 16))
    moved = tuple(each.transpose(0, 1).contiguous().transpose(0, 1) for each in given[:3])
    constant = torch.ones(()).expand(70, 4, 16)
    found = by_kernels((*moved, constant), segments, rule)
    expected = by_kernels((*given[:3], torch.ones(70, 4, 16)), segments, rule)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("why", ["dtype", "odd width", "too wide", "scale"])
def test_what_the_kernels_do_not_compute_they_do_not_take(why: str) -> None:
    query = torch.zeros(3, 2, {"odd width": 5, "too wide": 258}.get(why, 4))
    query = query.double() if why == "dtype" else query
    assert not flash.takes(query, query, query, Rule(-1.0 if why == "scale" else 1.0))
    usual = torch.zeros(3, 2, 4)
    assert flash.takes(usual, usual, usual, Rule(1.0))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Rule]:
    seen: list[Rule] = []
    attend = flash.attend

    def watched(*given: Any) -> torch.Tensor:
        seen.append(given[-1])
        return attend(*given)

    monkeypatch.setattr(flash, "attend", watched)
    return seen


def test_forest_attention_uses_the_kernels_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = counted(monkeypatch)
    query, key, value, _ = (each.transpose(0, 1)[None] for each in drawn(60, (4, 2, 16)))
    segments = [Segment(0, 40, -1), Segment(40, 60, 0)]
    results = []
    for kernels in (False, True):
        with attention.computing(segments, kernels):
            out, _ = attention.forest_attention(torch.nn.Module(), query, key, value, None, sliding_window=9)
            results.append(out)
    assert seen == [Rule(0.25, True, 9)] and results[0].shape == results[1].shape
    assert torch.allclose(*results, atol=1e-5)
    with attention.computing(segments, True):
        attention.forest_attention(torch.nn.Module(), query, key, value, None, dropout=0.5)
        attention.forest_attention(torch.nn.Module(), *(each.double() for each in (query, key, value)), None)
    assert [each.parts for each in seen] == [0, 2**15]


def test_under_autocast_products_are_taken_in_its_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = counted(monkeypatch)
    query, key, value, _ = (each.transpose(0, 1)[None] for each in drawn(60, (4, 2, 16)))
    with attention.computing([Segment(0, 60, -1)], True), torch.autocast("cpu", torch.bfloat16):
        out, _ = attention.forest_attention(torch.nn.Module(), query, key, value.bfloat16(), None)
    assert out.dtype == torch.bfloat16 and len(seen) == 1


def test_without_a_library_attention_by_kernels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given = drawn(3, (2, 2, 4))
    monkeypatch.setattr(native, "library", lambda: None)
    rule = replace(Rule(1.0), causal=False)
    assert not flash.takes(*given[:3], rule)
    with pytest.raises(Failed, match="there are none"):
        flash.attend(*given[:3], table([Segment(0, 3, -1)]), rule)
