"""Exact attention over a forest: every segment attends to itself and its ancestors, registered with transformers.

Signature, window rule and the absence of a mask function: `AttentionInterface`, transformers 5.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface

from affina.core.errors import Refused
from affina.core.kinds import Segment

NAME = "affina_forest"
LONG = 768  # keys: from here on the library's fused kernel is faster than plain products (measured, 2 cores, bf16)


@dataclass(frozen=True, slots=True)
class Plan:
    """One segment's queries, the runs of keys it sees, and where the keys stand relative to the queries."""

    start: int
    stop: int
    runs: tuple[tuple[int, int], ...]
    keys: int


@dataclass(slots=True)
class Forest:
    """What the attention function needs to know of the batch being computed; `calls` counts attention layers."""

    plans: tuple[Plan, ...]
    calls: int = 0


_current: ContextVar[Forest] = ContextVar("affina_forest")


@contextmanager
def computing(segments: Sequence[Segment]) -> Iterator[Forest]:
    """Attention inside the block follows these segments."""
    runs: list[tuple[tuple[int, int], ...]] = []
    for segment in segments:
        above = runs[segment.parent] if segment.parent >= 0 else ()
        runs.append((*above, (segment.start, segment.stop)))
    plans = tuple(
        Plan(segment.start, segment.stop, run, sum(stop - start for start, stop in run))
        for segment, run in zip(segments, runs, strict=True)
    )
    token = _current.set(forest := Forest(plans))
    try:
        yield forest
    finally:
        _current.reset(token)


def forest_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, H, T, D], key and value [1, Hkv, T, D] → [1, T, H, D]. Raises Refused for attention sinks."""
    if more.get("s_aux") is not None:
        raise Refused("this base's attention has sinks", why="packed attention does not compute them yet")
    forest = _current.get()
    forest.calls += 1
    causal = bool(getattr(module, "is_causal", True))
    size = query.shape[-1] ** -0.5 if scaling is None else scaling
    score = _Score(size, dropout, causal, more.get("sliding_window"), more.get("softcap"))
    outputs = []
    for plan in forest.plans:
        keys = torch.cat([key[0, :, start:stop] for start, stop in plan.runs], dim=1)
        values = torch.cat([value[0, :, start:stop] for start, stop in plan.runs], dim=1)
        outputs.append(score.attend(query[0, :, plan.start : plan.stop], keys, values))
    return torch.cat(outputs, dim=1).transpose(0, 1).unsqueeze(0), None


@dataclass(frozen=True, slots=True)
class _Score:
    """How one layer scores: scale, dropout, direction, window (`|query - key| < window`), soft cap."""

    scale: float
    dropout: float
    causal: bool
    window: int | None
    softcap: float | None

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """query [H, Q, D], key and value [Hkv, K, D] → [H, Q, D]; the queries are the last Q of the K positions."""
        (heads, q, width), (groups, k, _) = query.shape, key.shape
        hidden = self._hidden(q, k, query.device)
        if k >= LONG and self.softcap is None:
            mask = None if hidden is None else ~hidden
            out = torch.nn.functional.scaled_dot_product_attention(
                query[None], key[None], value[None], mask, self.dropout, scale=self.scale, enable_gqa=heads != groups
            )
            return out[0]
        grouped = (query * self.scale).reshape(groups, heads // groups * q, width)
        scores = torch.matmul(grouped, key.transpose(1, 2))
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32)).view(groups, heads // groups, q, k)
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        if hidden is not None:
            scores = scores.masked_fill(hidden, float("-inf"))
        weights = torch.nn.functional.dropout(scores.softmax(-1), self.dropout, training=self.dropout > 0)
        mixed = torch.matmul(weights.to(value.dtype).view(groups, heads // groups * q, k), value)
        return mixed.view(heads, q, width)

    def _hidden(self, q: int, k: int, device: torch.device) -> torch.Tensor | None:
        """[Q, K], True where a query must not look; None when it may look everywhere."""
        if not self.causal and self.window is None:
            return None
        distance = torch.arange(k - q, k, device=device)[:, None] - torch.arange(k, device=device)[None, :]
        hidden = distance < 0 if self.causal else torch.zeros_like(distance, dtype=torch.bool)
        return hidden | (distance.abs() >= self.window) if self.window is not None else hidden


AttentionInterface.register(NAME, forest_attention)
