"""What a card would compute is what attention in torch computes: checked on the processor as far as that goes."""

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention.flex_attention import create_mask, flex_attention

from affina.core.kinds import Segment
from affina.engine.torch import attention, attention_cuda
from affina.engine.torch.attention_cuda import Packed, backend, by_flash, by_flex, tree_of
from affina.engine.torch.flash import Rule

CPU = torch.device("cpu")
HERE = pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator here")
EAGER = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def grown(lengths: list[int], parents: list[int]) -> tuple[Segment, ...]:
    """Segments of these lengths, the n-th under `parents[n]` taken modulo what is there; a third of them are roots."""
    segments: list[Segment] = []
    for n, (length, parent) in enumerate(zip(lengths, parents, strict=False)):
        start = segments[-1].stop if segments else 0
        segments.append(Segment(start, start + length, parent % n if n and parent % 3 else -1))
    return tuple(segments)


forests = st.builds(
    grown,
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
    st.lists(st.integers(0, 100), min_size=8, max_size=8),
)
windows = st.sampled_from([None, 1, 2, 7, 40])
TREE = grown([70, 40, 33, 1, 90, 20], [0, 1, 1, 2, 3, 4])
PLAIN = tuple(Segment(start, stop, -1) for start, stop in [(0, 90), (90, 91), (91, 240)])
RULES = [
    Rule(0.25),
    Rule(0.5, causal=False),
    Rule(0.25, window=9),
    Rule(0.25, causal=False, window=9, softcap=2.0),
    Rule(0.25, softcap=2.0),
]


def drawn(tokens: int, width: int = 16, dtype: torch.dtype = torch.float32) -> Tensors:
    """query [T, 6, D], key and value [T, 2, D]: three query heads to a key head."""
    draw = torch.Generator().manual_seed(tokens)
    query, key, value = (torch.randn(tokens, heads, width, generator=draw).to(dtype) for heads in (6, 2, 2))
    return query, key, value


def in_torch(segments: tuple[Segment, ...], parts: Tensors, rule: Rule, dropout: float = 0.0) -> torch.Tensor:
    """[1, T, H, D] by forest_attention."""
    module = torch.nn.Module()
    module.is_causal = rule.causal  # type: ignore[assignment]
    query, key, value = (each.transpose(0, 1)[None] for each in parts)
    more = {"sliding_window": rule.window, "softcap": rule.softcap}
    with attention.computing(segments, kernels=query.device.type == "cuda"):
        return attention.forest_attention(module, query, key, value, None, rule.scale, dropout, **more)[0]


def shown(segments: tuple[Segment, ...], causal: bool, window: int | None) -> torch.Tensor:
    """[T, T], True where FlexAttention's mask lets a query look."""
    size = segments[-1].stop
    return create_mask(tree_of(segments, CPU).seen(causal, window), 1, 1, size, size, device="cpu")[0, 0]


@settings(deadline=None, max_examples=60)
@given(forests, st.booleans(), windows)
def test_the_mask_shows_what_attention_in_torch_shows(
    segments: tuple[Segment, ...], causal: bool, window: int | None
) -> None:
    size = segments[-1].stop
    with attention.computing(segments) as forest:
        whole = attention.Plan(0, size, ((0, size),), size, whole=True)
        hidden = forest.hidden(whole, causal, window, CPU)
    assert hidden is not None
    assert torch.equal(shown(segments, causal, window), ~hidden)


@settings(deadline=None, max_examples=20)
@given(forests, st.booleans(), windows)
def test_a_token_sees_exactly_the_near_tokens_of_its_own_path(
    segments: tuple[Segment, ...], causal: bool, window: int | None
) -> None:
    seen = shown(segments, causal, window)
    for runs, segment in zip(attention.runs_of(segments), segments, strict=True):
        path = [token for start, stop in runs for token in range(start, stop)]
        for query in range(segment.start, segment.stop):
            at = path.index(query)
            last = at if causal else len(path)
            visible = {token for n, token in enumerate(path) if n <= last and (window is None or abs(n - at) < window)}
            assert set(seen[query].nonzero()[:, 0].tolist()) == visible


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("window", [None, 9])
def test_no_block_that_holds_a_visible_key_is_skipped(causal: bool, window: int | None) -> None:
    segments = grown([300, 100, 100, 200], [0, 1, 1, 0])
    packed = Packed(segments)
    packed.mask(True, None, CPU)
    packed.mask(not causal, 5, CPU)
    mask = packed.mask(causal, window, CPU)
    packed.mask(False, 200, CPU)
    seen = create_mask(tree_of(segments, CPU).seen(causal, window), 1, 1, 700, 700, device="cpu")[0, 0]
    blocks = torch.nn.functional.pad(seen, (0, 68, 0, 68)).view(6, 128, 6, 128)
    assert torch.equal(mask.to_dense()[0, 0].bool(), blocks.any(3).any(1))
    assert mask.sparsity() > 20 and packed.mask(causal, window, CPU) is mask


@EAGER
@pytest.mark.parametrize("rule", RULES)
def test_flex_attention_computes_what_attention_in_torch_computes(rule: Rule) -> None:
    torch._dynamo.reset()
    parts = drawn(TREE[-1].stop)
    out = by_flex(flex_attention, Packed(TREE), *parts, rule)
    assert torch.allclose(out, in_torch(TREE, parts, rule), atol=1e-5, rtol=0)


def test_one_traced_graph_serves_batches_of_every_size_and_window() -> None:
    # A first batch with as many segments or blocks as there are heads would tie the two and be traced once more.
    torch._dynamo.reset()
    graphs: list[torch.fx.GraphModule] = []

    def counted(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    flex = torch.compile(flex_attention, dynamic=True, fullgraph=True, backend=counted)
    with torch.no_grad():
        for lengths, window in [([200, 90, 70, 1, 60], 9), ([130], None), ([100, 40, 30], 3), ([60] * 9, None)]:
            segments, rule = grown(lengths, [1] * 9), Rule(0.25, window=window)
            parts = drawn(segments[-1].stop)
            out = by_flex(flex, Packed(segments), *parts, rule)
            assert torch.allclose(out, in_torch(segments, parts, rule), atol=1e-5, rtol=0)
    assert len(graphs) == 1


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """A flash-attn 2.8 of dense products by the interface's own words; each call's arguments are kept."""
    kept: list[dict[str, Any]] = []

    def dense(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **how: Any) -> torch.Tensor:
        kept.append(how)
        return torch.cat(
            [
                sequence(query[start:stop], key[start:stop], value[start:stop], how)
                for start, stop in zip(how["cu_seqlens_q"], how["cu_seqlens_q"][1:], strict=False)
            ]
        )

    def sequence(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, how: dict[str, Any]) -> torch.Tensor:
        key, value = (each.repeat_interleave(query.shape[1] // each.shape[1], 1) for each in (key, value))
        scores = torch.einsum("qhd,khd->hqk", query, key).float() * how["softmax_scale"]
        if how["softcap"] > 0:
            scores = how["softcap"] * torch.tanh(scores / how["softcap"])
        at = torch.arange(len(query))
        left, right = how["window_size"]
        right = 0 if how["causal"] else right
        if left >= 0:
            scores = scores.masked_fill(at[None, :] < at[:, None] - left, float("-inf"))
        if right >= 0:
            scores = scores.masked_fill(at[None, :] > at[:, None] + right, float("-inf"))
        return torch.einsum("hqk,khd->qhd", scores.softmax(-1).to(value.dtype), value)

    module: Any = ModuleType("flash_attn")
    module.__spec__ = ModuleSpec("flash_attn", None)
    module.flash_attn_varlen_func = dense
    monkeypatch.setitem(sys.modules, "flash_attn", module)
    monkeypatch.setattr(attention_cuda, "version", lambda name: {"flash-attn": "2.8.3.post1"}[name])
    attention_cuda.flash_version.cache_clear()
    yield kept
    attention_cuda.flash_version.cache_clear()


@pytest.mark.parametrize("rule", RULES)
def test_flash_attn_is_asked_for_what_attention_in_torch_computes(rule: Rule, calls: list[dict[str, Any]]) -> None:
    parts = drawn(PLAIN[-1].stop)
    packed = Packed(PLAIN)
    out = by_flash(packed, *parts, rule)
    assert torch.allclose(out, in_torch(PLAIN, parts, rule), atol=1e-5, rtol=0)
    by_flash(packed, *parts, rule)
    first, second = calls
    assert first["cu_seqlens_q"].tolist() == [0, 90, 91, 240] and first["cu_seqlens_q"].dtype == torch.int32
    assert first["max_seqlen_q"] == first["max_seqlen_k"] == 149
    assert first["cu_seqlens_k"] is first["cu_seqlens_q"] is second["cu_seqlens_q"]
    reach = -1 if rule.window is None else 8
    assert first["window_size"] == ((8, 0) if rule.causal and rule.window else (reach, reach))
    assert first["deterministic"]


def test_the_version_of_flash_attn_is_read_from_what_is_installed(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert attention_cuda.flash_version() == (2, 8)
    monkeypatch.undo()
    attention_cuda.flash_version.cache_clear()
    fourth = ModuleType("flash_attn")  # a module of that name that no distribution "flash-attn" brought
    fourth.__spec__ = ModuleSpec("flash_attn", None)
    monkeypatch.setitem(sys.modules, "flash_attn", fourth)
    monkeypatch.setattr(attention_cuda, "version", missing)
    assert attention_cuda.flash_version() == (0, 0)


def missing(name: str) -> str:
    raise PackageNotFoundError(name)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card and the installation of the table below."""
    monkeypatch.setattr(attention_cuda, "capability", lambda device: (9, 0))
    monkeypatch.setattr(attention_cuda, "flash_version", lambda: (2, 8))
    monkeypatch.setattr(attention_cuda, "triton", lambda: True)


def chosen(segments: tuple[Segment, ...] = PLAIN, **given: Any) -> str | None:
    """The choice for one layer; tensors without memory stand for those of a card."""
    how: dict[str, Any] = {
        "device": "cuda",
        "dtype": torch.bfloat16,
        "widths": (64, 64),
        "dropout": 0.0,
        "softcap": None,
    } | given
    with FakeTensorMode(), attention.computing(segments) as forest:
        query, value = (torch.empty(240, 2, width, dtype=how["dtype"], device=how["device"]) for width in how["widths"])
        return backend(forest, query, value, Rule(1.0, softcap=how["softcap"]), how["dropout"])


@pytest.mark.usefixtures("card")
def test_the_choice_by_rule() -> None:
    assert chosen() == chosen(dtype=torch.float16) == chosen(softcap=30.0) == "flash"
    assert chosen(TREE) == chosen(TREE, softcap=30.0) == chosen(dtype=torch.float32) == "flex"
    assert chosen(widths=(192, 128)) == chosen(widths=(20, 20)) == "flex"  # one width, a multiple of 8, for flash-attn
    assert chosen(TREE, widths=(8, 8)) is None and chosen(TREE, widths=(512, 512)) is None
    assert chosen(grown([60, 68], [0, 1])) is None  # one block: nothing to skip
    assert chosen(grown([60, 69], [0, 1])) == "flex"
    for segments in (PLAIN, TREE):
        assert chosen(segments, device="cpu") is None
        assert chosen(segments, dtype=torch.float64) is None
        assert chosen(segments, dropout=0.1) is None


@pytest.mark.usefixtures("card")
def test_what_is_not_installed_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in ((2, 5), (0, 0)):
        monkeypatch.setattr(attention_cuda, "flash_version", lambda found=found: found)
        assert chosen(PLAIN) == "flex"
    monkeypatch.setattr(attention_cuda, "triton", lambda: False)
    assert chosen(PLAIN) is None and chosen(TREE) is None
    monkeypatch.setattr(attention_cuda, "flash_version", lambda: (2, 8))
    assert chosen(PLAIN) == "flash"
    monkeypatch.setattr(attention_cuda, "capability", lambda device: (7, 5))
    assert chosen(PLAIN) is None


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_forest_attention_lends_a_card_its_parts_and_rule(dropout: float, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[attention.Forest, tuple[torch.Tensor, ...], Rule, float]] = []

    def heard(*given: Any) -> torch.Tensor:
        asked.append(given)
        return given[1][2]  # type: ignore[no-any-return]

    monkeypatch.setattr(attention_cuda, "attend", heard)
    monkeypatch.setattr(attention, "_lent", lambda *parts: parts)  # it indexes, which needs a real card
    with FakeTensorMode(), attention.computing(PLAIN, kernels=True) as forest:
        given = tuple(torch.empty(1, heads, 240, 64, device="cuda") for heads in (6, 2, 2))
        more: dict[str, Any] = {"sliding_window": 7, "softcap": 3.0}
        query, key, value = given
        out, _ = attention.forest_attention(torch.nn.Module(), query, key, value, None, 0.5, dropout, **more)
    assert out is given[2]
    assert asked == [(forest, given, Rule(0.5, window=7, softcap=3.0), dropout)]


@HERE
@pytest.mark.parametrize("segments", [PLAIN, TREE], ids=["plain", "tree"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_card_gives_outputs_and_gradients_of_attention_in_torch(
    segments: tuple[Segment, ...], rule: Rule, dtype: torch.dtype
) -> None:
    start = drawn(segments[-1].stop, 64, dtype)
    weights = torch.randn(1, len(start[0]), 6, 64)
    found: list[torch.Tensor | None] = []
    expected: list[torch.Tensor | None] = []
    for device, kept, kind in (("cuda", found, dtype), ("cpu", expected, torch.float64)):
        parts = tuple(each.to(device, kind).requires_grad_() for each in start)
        out = in_torch(segments, parts, rule)  # type: ignore[arg-type]
        torch.autograd.backward((out * weights.to(device, kind)).sum())
        kept.extend([out.detach(), *(each.grad for each in parts)])
    bound = 1e-5 if dtype == torch.float32 else 2e-2
    for own, theirs in zip(found, expected, strict=True):
        assert own is not None and theirs is not None
        apart = (own.double().cpu() - theirs).abs().max()
        assert apart <= bound * max(1.0, float(theirs.abs().max()))
