"""Exact attention over a forest: every segment attends to itself and its ancestors, registered with transformers.

Signature, window rule and the absence of a mask function: `AttentionInterface`, transformers 5.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from transformers import AttentionInterface

from affina.core.errors import Refused
from affina.core.kinds import Ints, Segment
from affina.engine.torch import attention_cuda, flash
from affina.engine.torch.dropped import fresh_seed, threshold

NAME = "affina_forest"
PREFIX = "affina_prefix"  # of an attention layer: what puts the keys and values of virtual tokens in, where it has such
LONG = 768  # keys: from here on the library's fused kernel is faster than plain products (measured, 2 cores, bf16)
OVERHEAD = 15_000  # query-key pairs that cost as much as one more segment does (measured, 2 cores, bf16, 9 heads)


Runs = tuple[tuple[int, int], ...]
"""[start, stop) of the flat batch, one run after the other: what a path from a root holds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Queries [start, stop) of the flat batch, and the runs of keys they see; or, masked, the whole batch at once."""

    start: int
    stop: int
    runs: Runs
    keys: int
    whole: bool = False


@dataclass(slots=True)
class Forest:
    """What the attention function needs to know of the batch in hand; `calls` counts attention layers."""

    segments: tuple[Segment, ...]
    plans: tuple[Plan, ...]
    kernels: bool = False
    calls: int = 0
    heard: dict[torch.nn.Module, dict[str, Any]] = field(default_factory=dict)
    """How each attention layer last called: scaling, and what its family adds (soft cap, window)."""
    masks: dict[tuple[Plan, bool, int | None], torch.Tensor | None] = field(default_factory=dict)
    rows: Ints | None = None
    read: torch.Tensor | None = None
    """[S] the tokens, in ascending order, whose states are read after the last block; None: all."""
    packed: attention_cuda.Packed | None = None

    def table(self) -> Ints:
        """[N, 3] start, stop and parent of the segments: what the kernels read."""
        if self.rows is None:
            self.rows = np.array([(each.start, each.stop, each.parent) for each in self.segments], dtype=np.int64)
        return self.rows

    def hidden(self, plan: Plan, causal: bool, window: int | None, device: torch.device) -> torch.Tensor | None:
        """[Q, K], True where a query must not look, kept for the next layer; None when it may look everywhere."""
        key = (plan, causal, window)
        if key not in self.masks:
            mask = self._hidden(plan, causal, window)
            self.masks[key] = None if mask is None else mask.to(device)
        return self.masks[key]

    def _hidden(self, plan: Plan, causal: bool, window: int | None) -> torch.Tensor | None:
        if plan.whole:
            depths, sees = self._relations()
            here, there, hidden = depths[:, None], depths, ~sees
        else:
            there = torch.arange(plan.keys)
            here = there[plan.keys - (plan.stop - plan.start) :, None]
            hidden = torch.zeros(len(here), plan.keys, dtype=torch.bool)
        if causal:
            hidden |= there > here
        if window is not None:
            hidden |= (there <= here - window) | (there >= here + window)
        return hidden if causal or window is not None or plan.whole else None

    def _relations(self) -> tuple[torch.Tensor, torch.Tensor]:
        """[T] depths, and [T, T]: True where the key's segment is the query's own or an ancestor."""
        size = self.segments[-1].stop
        depths, sees = torch.empty(size, dtype=torch.long), torch.zeros(size, size, dtype=torch.bool)
        for segment, runs in zip(self.segments, runs_of(self.segments), strict=True):
            above = sum(stop - start for start, stop in runs[:-1])
            depths[segment.start : segment.stop] = torch.arange(above, above + segment.stop - segment.start)
            for start, stop in runs:
                sees[segment.start : segment.stop, start:stop] = True
        return depths, sees


_current: ContextVar[Forest] = ContextVar("affina_forest")


@dataclass(frozen=True, slots=True)
class How:
    """How one layer scores: scale, soft cap, and the distance from which nothing is seen."""

    scale: float
    softcap: float | None
    window: int | None


class Cached(Protocol):
    """Attention that reads and writes cached keys and values, layer by layer in the order of calls."""

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, how: How) -> torch.Tensor: ...


cached: ContextVar[Cached | None] = ContextVar("affina_cached", default=None)
virtual: ContextVar[tuple[torch.Tensor, torch.Tensor] | None] = ContextVar("affina_virtual", default=None)
"""Where in T virtual tokens stand, and which of them, where a layer has keys and values of its own for them."""


@contextmanager
def computing(segments: Sequence[Segment], kernels: bool = False, read: torch.Tensor | None = None) -> Iterator[Forest]:
    """Attention inside the block follows these segments; by the machine's own kernels where asked and possible."""
    token = _current.set(forest := Forest(tuple(segments), _plans(segments), kernels, read=read))
    try:
        yield forest
    finally:
        _current.reset(token)


def chosen(config: Any) -> bool:
    """Whether a network's attention is this one now, not the library's."""
    return bool(config._attn_implementation == NAME)


def prefixed(layer: torch.nn.Module) -> bool:
    """Whether an attention layer has keys and values of its own for virtual tokens."""
    return PREFIX in vars(layer)


@contextmanager
def standing(virtual_T: torch.Tensor) -> Iterator[None]:
    """Inside, virtual tokens stand where the number, theirs among the virtual ones, is 0 or more."""
    places = (virtual_T >= 0).nonzero()[:, 0]
    token = virtual.set((places, virtual_T[places]) if len(places) else None)
    try:
        yield
    finally:
        virtual.reset(token)


def current() -> Forest:
    """The forest in hand."""
    return _current.get()


@contextmanager
def resumed(forest: Forest) -> Iterator[None]:
    """Inside, attention follows a forest that was in hand before."""
    token = _current.set(forest)
    try:
        yield
    finally:
        _current.reset(token)


def kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the forest and the virtual tokens in hand now, whenever it is called."""
    forest, placed = current(), virtual.get()

    def call(*args: Any, **more: Any) -> Any:
        token = virtual.set(placed)
        try:
            with resumed(forest):
                return function(*args, **more)
        finally:
            virtual.reset(token)

    return call


def runs_of(segments: Sequence[Segment]) -> list[Runs]:
    """For every segment, the runs of its ancestors and its own, root first."""
    runs: list[Runs] = []
    for segment in segments:
        above = runs[segment.parent] if segment.parent >= 0 else ()
        runs.append((*above, (segment.start, segment.stop)))
    return runs


def _plans(segments: Sequence[Segment]) -> tuple[Plan, ...]:
    """A plan per segment, or one masked plan where many short segments would cost more than the pairs it wastes."""
    plans = tuple(
        Plan(segment.start, segment.stop, run, sum(stop - start for start, stop in run))
        for segment, run in zip(segments, runs_of(segments), strict=True)
    )
    size, pairs = segments[-1].stop, sum((plan.stop - plan.start) * plan.keys for plan in plans)
    if len(plans) > 1 and size**2 < pairs + OVERHEAD * len(plans):
        return (Plan(0, size, ((0, size),), size, whole=True),)
    return plans


def forest_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, H, T, D], key [1, Hkv, T, D], value [1, Hkv, T, Dv] → [1, T, H, Dv]. Raises Refused for sinks."""
    if more.get("s_aux") is not None:
        why = "packed attention does not compute them yet"
        raise Refused("this base's attention has sinks", why, "choose a base without")
    if (own := vars(module).get(PREFIX)) is not None:
        key, value = own(key, value)
    size = query.shape[-1] ** -0.5 if scaling is None else scaling
    how = How(size, more.get("softcap"), more.get("sliding_window"))
    if (step := cached.get()) is not None:
        return step.attend(query, key, value, how), None
    forest = _current.get()
    forest.calls += 1
    forest.heard[module] = {"scaling": scaling, **more}
    rule = flash.Rule(how.scale, bool(getattr(module, "is_causal", True)), how.window, how.softcap)
    if forest.kernels and dropout < 1 and flash.takes(*(lent := _lent(query, key, value)), rule):
        drawn = replace(rule, parts=threshold(dropout), seed=fresh_seed()) if dropout else rule
        return flash.attend(*lent, forest.table(), drawn)[None], None
    if forest.kernels and query.device.type == "cuda":
        out = attention_cuda.attend(forest, _lent(query, key, value), rule, dropout)
        if out is not None:
            return out, None
    outputs = []
    for plan in forest.plans:
        keys, values = (
            torch.cat([each[0, :, start:stop] for start, stop in plan.runs], dim=1) for each in (key, value)
        )
        hidden = forest.hidden(plan, rule.causal, how.window, query.device)
        outputs.append(attended(query[0, :, plan.start : plan.stop], keys, values, how, hidden, dropout))
    return torch.cat(outputs, dim=1).transpose(0, 1).contiguous()[None], None  # some families view it


def _lent(*tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[1, H, T, D] → [T, H, D], in the dtype in which products are taken here."""
    kind = tensors[0].device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensors[0].dtype
    query, key, value = (each[0].transpose(0, 1).to(dtype) for each in tensors)
    return query, key, value


def attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    how: How,
    hidden: torch.Tensor | None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """query [H, Q, D], key [Hkv, K, D], value [Hkv, K, Dv] → [H, Q, Dv]. `hidden` [Q, K]: what no query sees."""
    (heads, q, width), (groups, k, _) = query.shape, key.shape
    if k >= LONG and how.softcap is None:
        mask = None if hidden is None else ~hidden
        return torch.nn.functional.scaled_dot_product_attention(
            query[None], key[None], value[None], mask, dropout, scale=how.scale, enable_gqa=heads != groups
        )[0]
    scores = torch.matmul((query * how.scale).reshape(groups, heads // groups * q, width), key.mT)
    scores = capped(scores.view(groups, heads // groups, q, k), how.softcap)
    weights = (scores if hidden is None else scores.masked_fill(hidden, float("-inf"))).softmax(-1)
    weights = torch.nn.functional.dropout(weights, dropout) if dropout else weights
    return torch.matmul(weights.to(value.dtype).view(groups, heads // groups * q, k), value).view(heads, q, -1)


def capped(scores: torch.Tensor, softcap: float | None) -> torch.Tensor:
    """softcap · tanh(scores / softcap), or the scores as they are; in float32 at least."""
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return wide if softcap is None else torch.tanh(wide / softcap) * softcap


AttentionInterface.register(NAME, forest_attention)


def stay_opaque() -> None:
    """From now on compiled blocks call the attention as it is: what it looks up cannot be compiled in."""
    AttentionInterface.register(NAME, torch.compiler.disable(forest_attention))  # type: ignore[no-untyped-call]
