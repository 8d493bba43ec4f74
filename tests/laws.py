"""What equivalence is judged by: an engine to compare, a distance, and the gradient computed the plain way: padded rows
under a mask, eager attention, all logits, autograd."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForTextEncoding,
)
from transformers.masking_utils import eager_mask

from affina.core.compute import Computing
from affina.core.example import MultiLabelled, Rated
from affina.core.kinds import Batch, Forward, Objective, Row, Segment, optimizers, schedules, tunings
from affina.data.rows import Renderer
from affina.engine.torch.load import load
from affina.engine.torch.step import Course, TorchEngine

WIDE = "plain_float64"
LABELS = 3
NOTHING = r"key\.bias$|coder\.layers.*k_proj\.bias$"
"""The softmax does not see a key's bias without rotary positions: its gradient is noise."""
NOISE = 1e-5  # of the largest gradient of all: what such a tensor may have

Gradients = Mapping[str, torch.Tensor]


def engine(
    folder: Path, part: Objective, tuning: Any, computing: Computing | None = None, nudge: float = 0.02
) -> TorchEngine:
    """Everything that trains moved away from where it starts: a fresh low-rank product is 0 and hides the other."""
    network = load(folder, computing or Computing("float32"), part.ending(LABELS))
    course = Course(tunings.build(tuning), optimizers.build("adamw"), schedules.build("constant"), 1e-3, 9, seed=0)
    made = TorchEngine(network, Renderer.open(folder, max_tokens=64), course)
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for each in made.trainable().values():
            each.add_((torch.randn(each.shape, generator=noise) * nudge).to(each.device))
    return made


def taught(rows: Sequence[Row], part: Objective) -> list[Row]:
    """The rows with what an objective learns from: labels, goals, names of places, gaps, a source, partners."""
    made = []
    for n, each in enumerate(rows):
        draw, size = np.random.default_rng(n), len(each.tokens)
        goals = draw.integers(0, 2, {"multi_label": LABELS}.get(part.name, 1)).astype(np.float32)
        row = replace(each, label=n % LABELS)
        if part.consumes[0] in (MultiLabelled, Rated):
            row = replace(row, goals=goals)
        elif part.head in ("tags", "span"):
            row = replace(row, said=draw.integers(0, LABELS, size).astype(np.int32))
        elif part.head == "margin":
            row = replace(row, label=1 - n % 2, tied=n % 2 == 1)
        elif part.head == "vector":
            row = replace(row, label=n % 2, tied=n % 2 == 1)
        elif part.reads in ("both", "order"):
            order = np.where(each.weights > 0, np.cumsum(each.weights > 0) - 1, -1).astype(np.int32)
            row = replace(row, said=each.tokens, orders=order if part.reads == "order" else None)
        elif part.reads == "source":
            row = replace(row, source=draw.integers(0, 300, 3 + n).astype(np.int32))
        made.append(row)
    return made


def apart(found: Gradients, expected: Gradients, unseen: str = NOTHING) -> tuple[float, str]:
    """The largest difference of any tensor as a share of its largest gradient; the `unseen` have nothing but noise."""
    assert found.keys() == expected.keys() and len(expected) > 1
    noise = NOISE * max(float(each.abs().max()) for each in expected.values())
    nothing = [name for name in expected if re.search(unseen, name)]
    assert all(float(each[name].abs().max()) <= noise for name in nothing for each in (found, expected))
    return max((_share(found[name], each), name) for name, each in expected.items() if name not in nothing)


def _share(found: torch.Tensor, expected: torch.Tensor) -> float:
    """max|Δ| / max|g|: 0 where both are 0, infinite where anything is not a number."""
    gap, size = float((found - expected).abs().max()), float(expected.abs().max())
    share = gap / size if size else gap * math.inf if gap else 0.0
    return share if math.isfinite(share) else math.inf


def attention(module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float, **more: Any) -> Any:
    """softmax(q·kᵀ + mask)·v in the dtype given; the library's eager attention takes its softmax in float32."""
    groups = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
    scores = query @ key.transpose(2, 3) * scaling
    if more.get("softcap") is not None:
        scores = torch.tanh(scores / more["softcap"]) * more["softcap"]
    for added in (mask, more.get("position_bias")):
        scores = scores if added is None else scores + added
    return (scores.softmax(-1) @ value).transpose(1, 2), None


AttentionInterface.register(WIDE, attention)
AttentionMaskInterface.register(WIDE, eager_mask)


def numbers(forward: Forward, row: int) -> torch.Tensor:
    """What a row's loss is made of."""
    places = forward.logprobs_S if forward.logprobs_S is not None else forward.scores_SL
    if places is not None:
        return places[forward.owners_S == row]
    whole = forward.scores_RL if forward.scores_RL is not None else forward.vectors_RD
    assert whole is not None
    return whole[row]


def library_model(folder: Path, labels: bool, attention: str) -> Any:
    """The library's own class in float32."""
    auto: Any = AutoModel if labels else AutoModelForCausalLM
    auto = AutoModelForTextEncoding if folder.name == "t5" else auto
    model = (
        auto.from_pretrained(folder, attn_implementation=attention, dtype=torch.float32).eval().requires_grad_(False)
    )
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None
    return model


def plain_gradients(
    made: TorchEngine, folder: Path, rows: Sequence[Row], objective: Objective, precision: str
) -> dict[str, torch.Tensor]:
    """Of every tensor that `made` trains, at its weights: of the library's own model in float32; in float64, where
    the library's norms and softmax round to float32, of the engine's modules with the attention above."""
    network = made.network
    if precision == "float32":
        model = library_model(folder, network.ending.head != "words", "eager")
        made.course.tuning.apply(model)
        model.load_state_dict(network.model.state_dict())
        return _gradients(made, model, rows, objective)
    before = network.config._attn_implementation
    network.model.set_attn_implementation(WIDE)
    try:
        return _gradients(made, network.model, rows, objective)
    finally:
        network.model.set_attn_implementation(before)


def _gradients(made: TorchEngine, model: Any, rows: Sequence[Row], objective: Objective) -> dict[str, torch.Tensor]:
    batch, network = side_by_side(rows), made.network
    hidden_TD = _hidden(model.get_decoder() if network.ending.head == "words" else model, rows)
    weights_S, owners_S, labels_R = (torch.from_numpy(x) for x in (batch.weights_S, batch.owners_S, batch.labels_R))
    batch = replace(batch, rows=tuple(rows))
    if network.ending.head == "vector":
        edges = [*np.cumsum([0, *(len(row.tokens) for row in rows)])]
        means = [hidden_TD[start:stop].mean(0) for start, stop in pairwise(edges)]
        forward = Forward(weights_S, owners_S, labels_R, vectors_RD=torch.stack(means))
    elif network.ending.head in ("tags", "span"):
        assert network.head is not None
        forward = Forward(weights_S, owners_S, labels_R, scores_SL=network.head(hidden_TD[batch.sources_S]))
    elif network.head is not None:
        ends = torch.from_numpy(batch.ends_R if network.causal else batch.starts_R)
        forward = Forward(weights_S, owners_S, labels_R, scores_RL=network.head(hidden_TD[ends]))
    else:
        logits_SV = model.get_output_embeddings()(hidden_TD[torch.from_numpy(batch.sources_S)])
        if cap := getattr(model.config, "final_logit_softcapping", None):
            logits_SV = torch.tanh(logits_SV / cap) * cap
        logprobs_SV = logits_SV.log_softmax(-1)
        logprobs_S = logprobs_SV.gather(1, torch.from_numpy(batch.targets_S)[:, None])[:, 0]
        words: Any = Whole(logprobs_SV)
        forward = Forward(weights_S, owners_S, labels_R, logprobs_S, words=words)
    loss = objective.loss(forward, batch)
    torch.autograd.backward(loss.total / loss.count)
    named = {f"model.{name}": each for name, each in model.named_parameters()}
    if network.head is not None:
        named |= {f"head.{name}": each for name, each in network.head.named_parameters()}
    found = {name: each.grad.clone() for name, each in named.items() if each.grad is not None}
    for each in named.values():
        each.grad = None
    return found


@dataclass(frozen=True)
class Whole:
    """Distributions over all words, written out."""

    logprobs_SV: torch.Tensor

    def spread(self, logprobs_S: torch.Tensor) -> torch.Tensor:
        return self.logprobs_SV.mean(-1)


def side_by_side(rows: Sequence[Row]) -> Batch:
    """The rows one after the other, nothing shared, written out position by position."""
    supervised = [
        (
            sum(len(each.tokens) for each in rows[:r]) + (i - 1 if row.said is None else i),
            int(row.tokens[i] if row.said is None else row.said[i]),
            float(row.weights[i]),
            r,
        )
        for r, row in enumerate(rows)
        for i in range(1 if row.said is None else 0, len(row.tokens))
        if row.weights[i] != 0
    ]
    sources, targets, weights, owners = zip(*supervised, strict=True)
    edges = [sum(len(each.tokens) for each in rows[:r]) for r in range(len(rows) + 1)]
    return Batch(
        ids=tuple(row.id for row in rows),
        tokens_T=np.concatenate([row.tokens for row in rows]).astype(np.int64),
        depths_T=np.concatenate([np.arange(len(row.tokens)) for row in rows]),
        segments=tuple(Segment(start, stop, -1) for start, stop in pairwise(edges)),
        sources_S=np.array(sources),
        targets_S=np.array(targets),
        weights_S=np.array(weights, np.float32),
        owners_S=np.array(owners),
        starts_R=np.array(edges[:-1]),
        ends_R=np.array(edges[1:]) - 1,
        labels_R=np.array([row.label for row in rows]),
        tokens=edges[-1],
        rows=tuple(rows),
    )


def _hidden(body: Any, rows: Sequence[Row]) -> torch.Tensor:
    """[T, D] of rows padded on the right, one after the other."""
    tokens = [torch.from_numpy(each.tokens).long() for each in rows]
    mask_BL = pad_sequence([torch.ones_like(each) for each in tokens], batch_first=True)
    state_BLD = body(input_ids=pad_sequence(tokens, batch_first=True), attention_mask=mask_BL).last_hidden_state
    return state_BLD[mask_BL.bool()]
