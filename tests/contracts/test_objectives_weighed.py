"""Smoothed, focal and weighed losses are torch's own, on the whole distribution and on what the engine gives of it."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import labelled, row
from laws import engine
from test_objectives import LABELS, ROWS, computed
from torch.nn.functional import cross_entropy, one_hot

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message
from affina.core.kinds import Forward, Loss, Row, objectives
from affina.data.layout import layout

Folder = Callable[[str], Path]
NAMES = ["classify", "cross_entropy"]
EXAMPLES: list[Example] = [
    Labelled(id=f"r:{n}", text="x", label=LABELS[0 if n < 3 else 1 if n < 5 else 2], labels=LABELS) for n in range(6)
]
LABELLED = [replace(each, label=0 if n < 3 else 1 if n < 5 else 2) for n, each in enumerate(ROWS)]
BALANCED = {"refund": 2 / 3, "delay": 1.0, "other": 2.0}  # 6 / (3 · 3), 6 / (3 · 2), 6 / (3 · 1)


def classified(rows: list[Row], **settings: Any) -> tuple[Loss, torch.Tensor]:
    """The loss of drawn scores, and the scores."""
    part, batch = objectives.build({"name": "classify", **settings}), layout(rows)
    scores = torch.randn(len(rows), 3, generator=torch.Generator().manual_seed(4)).requires_grad_()
    forward = Forward(torch.zeros(0), torch.zeros(0), torch.from_numpy(batch.labels_R), scores_RL=scores)
    return part.loss(forward, batch), scores


def alike(loss: Loss, expected: torch.Tensor, scores: torch.Tensor) -> None:
    """The mean and its gradient."""
    found = loss.total / loss.count
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    mine, theirs = (torch.autograd.grad(each, scores, retain_graph=True)[0] for each in (found, expected))
    assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def targets(rows: list[Row]) -> torch.Tensor:
    return torch.tensor([each.label for each in rows])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_classify_smoothed_is_torchs(smoothing: float) -> None:
    loss, scores = classified(LABELLED, label_smoothing=smoothing)
    alike(loss, cross_entropy(scores, targets(LABELLED), label_smoothing=smoothing), scores)


@pytest.mark.parametrize("given", ["balanced", {"other": 5.0, "refund": 0.5}])
def test_classify_weighed_is_torchs(given: Any) -> None:
    part = objectives.build({"name": "classify", "class_weights": given})
    rows = part.weighed(LABELLED, EXAMPLES)
    weights = torch.tensor([BALANCED[label] if given == "balanced" else given.get(label, 1.0) for label in LABELS])
    loss, scores = classified(rows, class_weights=given)
    alike(loss, cross_entropy(scores, targets(rows), weight=weights), scores)


def test_balanced_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    said = [each.label for each in EXAMPLES if isinstance(each, Labelled)]
    theirs = compute_class_weight("balanced", classes=np.array(LABELS), y=said)
    rows = objectives.build({"name": "classify", "class_weights": "balanced"}).weighed(LABELLED, EXAMPLES)
    assert [each.weight for each in rows] == pytest.approx([dict(zip(LABELS, theirs, strict=True))[s] for s in said])


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_is_the_papers_formula(gamma: float) -> None:
    loss, scores = classified(LABELLED, focal=gamma)
    chances = (scores.softmax(-1) * one_hot(targets(LABELLED), 3)).sum(-1)
    alike(loss, (-((1 - chances) ** gamma) * chances.log()).mean(), scores)


def test_smoothed_focal_and_weighed_together_by_hand() -> None:
    """Equal scores: p = 1/3. 0.8 · (2/3)² · ln 3 + 0.2 · ln 3 a row; weights change no mean of equals."""
    part = objectives.build({"name": "classify", "label_smoothing": 0.2, "focal": 2.0, "class_weights": {"other": 7.0}})
    rows = part.weighed(LABELLED, EXAMPLES)
    batch = layout(rows)
    forward = Forward(torch.zeros(0), torch.zeros(0), targets(rows), scores_RL=torch.zeros(6, 3))
    loss = part.loss(forward, batch)
    assert loss.count == 5 + 7
    assert float(loss.total) / loss.count == pytest.approx((0.8 * 4 / 9 + 0.2) * math.log(3), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_what_is_certain_has_no_loss_and_a_finite_gradient(gamma: float) -> None:
    part = objectives.build({"name": "cross_entropy", "focal": gamma})
    batch = layout(ROWS)
    logprobs = torch.zeros(len(batch.targets_S), requires_grad=True)
    forward = replace(computed(batch, "words"), logprobs_S=logprobs)
    loss = part.loss(forward, batch)
    torch.autograd.backward(loss.total)
    assert float(loss.total.detach()) == pytest.approx(0, abs=1e-12)
    assert logprobs.grad is not None and logprobs.grad.isfinite().all()


def test_words_are_weighed_by_their_examples_class() -> None:
    part = objectives.build({"name": "cross_entropy", "class_weights": "balanced"})
    rows = part.weighed(LABELLED, EXAMPLES)
    batch, plain = layout(rows), layout(LABELLED)
    weights = [BALANCED[LABELS[each.label]] for each in LABELLED]
    assert batch.weights_S == pytest.approx(plain.weights_S * np.array(weights)[plain.owners_S])
    loss = part.loss(computed(batch, "words"), batch)
    assert loss.count == pytest.approx(float(batch.weights_S.sum()))
    assert [each.targets for each in rows] == [each.targets for each in LABELLED]


@pytest.mark.parametrize("name", NAMES)
def test_sums_and_counts_of_weighed_parts_add_up(name: str) -> None:
    part = objectives.build({"name": name, "class_weights": "balanced", "focal": 1.0})
    rows = part.weighed(LABELLED, EXAMPLES)
    whole = part.loss(computed(batch := layout(rows), part.head), batch)
    for parts in ([[0], [1, 2, 3, 4, 5]], [[5, 0], [1], [4, 2, 3]]):
        batches = [layout([rows[n] for n in each]) for each in parts]
        losses = [part.loss(computed(each, part.head), each) for each in batches]
        assert sum(each.count for each in losses) == pytest.approx(whole.count, rel=1e-6)
        assert sum(float(each.total.detach()) for each in losses) == pytest.approx(
            float(whole.total.detach()), rel=1e-6
        )


@pytest.mark.parametrize("name", NAMES)
def test_class_weights_that_cannot_be_are_refused(name: str) -> None:
    part = objectives.build({"name": name, "class_weights": {"refnd": 2.0}})
    with pytest.raises(Refused, match=r"no training example is labelled 'refnd'.*refund"):
        part.weighed(LABELLED, EXAMPLES)
    chat = Chat(id="r:0", messages=(Message("user", "x"), Message("assistant", "y")))
    with pytest.raises(Refused, match="examples without one label"):
        objectives.build({"name": name, "class_weights": "balanced"}).weighed(LABELLED[:1], [chat])
    for wrong in ({"refund": 0.0}, {"refund": -1.0}, "even"):
        with pytest.raises(ValueError, match="class_weights"):
            objectives.build({"name": name, "class_weights": wrong})
    plain = objectives.build(name)
    assert plain.weighed(LABELLED, [chat]) == LABELLED


@pytest.mark.parametrize("name", ["llama", "granite", "gemma2"])
@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_words_smoothed_and_focal_have_the_gradient_of_all_logits(name: str, tuning: str, family: Folder) -> None:
    """Of a tied head, of one with a scale, of one with a soft cap; torch's smoothed loss over logits held whole."""
    rows = [row(f"row:{n}", [5, 6, 7, 50 + n], list(range(60, 62 + 2 * n))) for n in range(4)]
    for settings in ({"label_smoothing": 0.3}, {"focal": 2.0}):
        part = objectives.build({"name": "cross_entropy", **settings})
        made = engine(family(name), part, tuning)
        with made.exactly("float64"):
            batch = made.layout(rows)
            found = made.gradients([batch], part)
            halves = made.gradients([made.layout(rows[:1]), made.layout(rows[1:])], part)
            words, sources = made.network.words, torch.from_numpy(batch.sources_S)
            logits = made.network.hidden(batch)[sources] @ words.weight_VD.T * words.scale
            logits = logits if words.softcap is None else words.softcap * torch.tanh(logits / words.softcap)
            aims = torch.from_numpy(batch.targets_S)
            nats = cross_entropy(logits, aims, label_smoothing=settings.get("label_smoothing", 0.0), reduction="none")
            torch.autograd.backward((nats * (1 - (-nats).exp()) ** 2 if "focal" in settings else nats).mean())
            for key, each in made.trainable().items():
                assert each.grad is not None
                assert torch.allclose(found[key], each.grad, rtol=1e-7, atol=1e-10), key
                assert torch.allclose(found[key], halves[key], rtol=1e-7, atol=1e-10), key


def test_a_label_head_weighed_in_the_engine_is_weighed_in_micro_batches_too(family: Folder) -> None:
    part = objectives.build({"name": "classify", "class_weights": {"a": 3.0, "b": 0.5}, "label_smoothing": 0.1})
    examples: list[Example] = [Labelled(id=f"r:{n}", text="x", label="abc"[n % 3]) for n in range(6)]
    rows = [labelled(row(f"r:{n}", [5, 6, 40 + n], [7]), n % 3) for n in range(6)]
    rows = part.weighed(rows, examples)
    made = engine(family("bert"), part, "full")
    with made.exactly("float64"):
        whole, *others = (
            made.gradients([made.layout(rows[n : n + size]) for n in range(0, 6, size)], part) for size in (6, 2, 1)
        )
        plain = made.gradients([made.layout([replace(each, weight=1.0) for each in rows])], part)
    for other in others:
        assert all(torch.allclose(whole[name], each, rtol=1e-7, atol=1e-10) for name, each in other.items())
    assert not torch.allclose(whole["head.bias"], plain["head.bias"], rtol=1e-3)
