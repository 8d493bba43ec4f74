"""Every objective's number is its paper's formula, written out in plain loops over float64."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from affina.core.example import Chat, Gapped, Message, Parallel, Text
from affina.core.kinds import Batch, Forward, Loss, Row, objectives
from affina.data.layout import layout
from affina.data.passages import END, START

DRAWS = torch.Generator().manual_seed(11)


def row(number: int, places: Sequence[int] = (), said: Sequence[int] = (), **more: Any) -> Row:
    """Five tokens; at `places` something is said."""
    weights, names = np.zeros(5, dtype=np.float32), np.zeros(5, dtype=np.int32)
    weights[list(places)], names[list(places)] = 1, said
    return Row(f"r:{number}", np.arange(5, dtype=np.int32) + 7 * number, weights, said=names, **more)


def lost(objective: dict[str, Any], batch: Batch, **computed: Any) -> Loss:
    """The loss of what the engine is said to have computed."""
    weights, owners, labels = map(torch.from_numpy, (batch.weights_S, batch.owners_S, batch.labels_R))
    return objectives.build(objective).loss(Forward(weights, owners, labels, **computed), batch)


def drawn(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=DRAWS, dtype=torch.float64)


def infonce(anchors: Any, candidates: Any, temperature: float) -> float:
    """Σ over anchors of -log softmax of the cosine with the candidate of the same number."""

    def cosine(a: Any, b: Any) -> float:
        return float(a @ b / math.sqrt(a @ a) / math.sqrt(b @ b))

    total = 0.0
    for n, anchor in enumerate(anchors):
        scores = [math.exp(cosine(anchor, each) / temperature) for each in candidates]
        total -= math.log(scores[n] / sum(scores))
    return total


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.5}, {"both_ways": False}, {"sizes": [2, 4]}])
def test_contrastive_is_infonce_over_partners_and_hard_negatives(settings: dict[str, Any]) -> None:
    labels = [0, 1, 2, 2, 0, 1, 0, 1, 2]
    vectors = drawn(len(labels), 6)
    batch = layout([row(n, label=label, tied=label > 0) for n, label in enumerate(labels)])
    expected, sizes = 0.0, [*settings.get("sizes", []), 6]
    for size in sizes:
        parts = [[v.numpy()[:size] for v, label in zip(vectors, labels, strict=True) if label == k] for k in range(3)]
        there = infonce(parts[0], parts[1] + parts[2], settings.get("temperature", 0.05))
        back = infonce(parts[1], parts[0], settings.get("temperature", 0.05))
        expected += ((there + back) / 2 if settings.get("both_ways", True) else there) / len(sizes)
    loss = lost({"name": "contrastive", **settings}, batch, vectors_RD=vectors)
    assert float(loss.total) == pytest.approx(expected, rel=1e-9) and loss.count == 3


def test_multi_label_is_the_binary_cross_entropy_of_every_label_a_mean_over_texts() -> None:
    scores, goals = drawn(3, 4), np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]], dtype=np.float32)
    batch = layout([row(n, goals=goal) for n, goal in enumerate(goals)])
    expected = sum(
        -math.log(1 / (1 + math.exp(-s))) if goal else -math.log(1 / (1 + math.exp(s)))
        for s, goal in zip(scores.flatten().tolist(), goals.flatten(), strict=True)
    )
    loss = lost({"name": "multi_label"}, batch, scores_RL=scores)
    assert float(loss.total) == pytest.approx(expected, rel=1e-9) and loss.count == 3


@pytest.mark.parametrize("huber", [None, 0.4, 2.0])
def test_regression_is_half_the_squared_error_and_linear_beyond_huber(huber: float | None) -> None:
    scores, goals = torch.tensor([[0.3], [-2.0], [1.1], [7.0]], dtype=torch.float64), (0.0, 1.0, 1.0, 2.5)
    batch = layout([row(n, goals=np.array([goal], dtype=np.float32)) for n, goal in enumerate(goals)])
    errors = [abs(float(score) - goal) for score, goal in zip(scores, goals, strict=True)]
    expected = sum(e * e / 2 if huber is None or e <= huber else huber * (e - huber / 2) for e in errors)
    loss = lost({"name": "regression", "huber": huber}, batch, scores_RL=scores)
    assert float(loss.total) == pytest.approx(expected, rel=1e-9) and loss.count == 4


@pytest.mark.parametrize("centre", [0.0, 0.01, 1.0])
def test_reward_is_bradley_terry_of_the_chosen_over_the_rejected(centre: float) -> None:
    scores = [(1.0, 0.5), (-0.2, 0.7), (2.0, -2.0)]
    batch = layout([row(n, tied=n % 2 == 1, label=n % 2) for n in range(6)])
    expected = sum(math.log(1 + math.exp(bad - good)) + centre * (good + bad) ** 2 for good, bad in scores)
    given = torch.tensor(scores, dtype=torch.float64).reshape(6, 1)
    loss = lost({"name": "reward", "centre": centre}, batch, scores_RL=given)
    assert float(loss.total) == pytest.approx(expected, rel=1e-9)
    assert loss.count == 3 and loss.metrics == {"right": 2.0}


def test_span_is_half_of_each_ends_nats_over_the_places_of_its_own_row() -> None:
    said = [[0, START, END], [0, START + END, 0], [START + END, 0, 0]]  # the last: no answer here
    batch = layout([row(n, (0, 2, 3), each) for n, each in enumerate(said)])
    scores = drawn(len(batch.targets_S), 2)
    expected = 0.0
    for number in range(3):
        mine = [n for n, owner in enumerate(batch.owners_S) if owner == number]
        for side, mark in ((0, START), (1, END)):
            (right,) = (n for n in mine if batch.targets_S[n] & mark)
            odds = [math.exp(float(scores[n, side])) for n in mine]
            expected -= math.log(math.exp(float(scores[right, side])) / sum(odds)) / 2
    loss = lost({"name": "span"}, batch, scores_SL=scores)
    assert float(loss.total) == pytest.approx(expected, rel=1e-9) and loss.count == 3


def test_tags_are_weighed_nats_of_each_word_a_mean_over_words() -> None:
    rows = [row(0, (1, 2), (2, 0)), row(1, (1, 3, 4), (1, 1, 2))]
    batch = layout([rows[0], Row(rows[1].id, rows[1].tokens, rows[1].weights * 3, said=rows[1].said)])
    scores = drawn(5, 3)
    expected = 0.0
    for n, (tag, weight) in enumerate(zip(batch.targets_S, batch.weights_S, strict=True)):
        odds = [math.exp(each) for each in scores[n].tolist()]
        expected -= float(weight) * math.log(odds[tag] / sum(odds))
    loss = lost({"name": "tag"}, batch, scores_SL=scores)
    assert float(loss.total) == pytest.approx(expected, rel=1e-6) and loss.count == 2 + 3 * 3


def test_classify_counts_a_row_by_its_weight() -> None:
    rows = [row(n, label=n, weight=weight) for n, weight in enumerate((1.0, 4.0, 0.5))]
    scores = drawn(3, 3)
    nats = [-math.log(math.exp(s[n]) / sum(map(math.exp, s))) for n, s in enumerate(scores.tolist())]
    loss = lost({"name": "classify"}, layout(rows), scores_RL=scores)
    assert float(loss.total) == pytest.approx(nats[0] + 4 * nats[1] + nats[2] / 2, rel=1e-6) and loss.count == 5.5


def test_seq2seq_answers_last_after_all_that_was_said_before() -> None:
    said = (("system", "be kind"), ("user", "a?"), ("assistant", "b"), ("user", "c?"), ("assistant", "d"))
    chat = Chat(id="1", messages=tuple(Message(role, text) for role, text in said))
    pair = Parallel(id="2", source="one", result="uno", references=("un",))
    one, two = objectives.build({"name": "seq2seq", "instruction": "go: "}).expand([chat, pair])
    assert one == Parallel(id="1", source="go: be kind\na?\nb\nc?", result="d")
    assert two == Parallel(id="2", source="go: one", result="uno", references=("un",))


def test_gaps_are_as_the_objective_has_them() -> None:
    text = Text(id="1", text="one two")
    masked = objectives.build({"name": "masked_lm", "share": 0.4, "whole_words": False})
    permuted = objectives.build({"name": "permutation_lm", "share": 0.3, "spans": 2})
    assert masked.expand([text]) == [Gapped(id="1", text="one two", share=0.4, whole=False)]
    assert permuted.expand([text]) == [Gapped(id="1", text="one two", share=0.3, permuted=True, spans=2)]
    assert masked.reads == "both" and permuted.reads == "order"


def test_texts_that_say_the_same_are_no_negatives_of_each_other() -> None:
    """Two questions of one answer, and a hard negative that is the answer itself: each is compared with the third."""
    answer = np.array([9, 8, 7, 6, 5], dtype=np.int32)
    labels = [0, 1, 2, 0, 1, 0, 1]
    rows = [row(n, label=label, tied=label > 0) for n, label in enumerate(labels)]
    rows = [replace(each, tokens=answer) if n in (1, 2, 4) else each for n, each in enumerate(rows)]
    vectors = drawn(len(labels), 6)
    vectors[2] = vectors[4] = vectors[1]
    a, p, b, c, q = (vectors[n].numpy() for n in (0, 1, 3, 5, 6))
    there = infonce([a], [p, q], 0.05) + infonce([b], [p, q], 0.05) + infonce([c], [q, p, p, p], 0.05)
    back = infonce([p], [a, c], 0.05) + infonce([p], [b, c], 0.05) + infonce([q], [c, a, b], 0.05)
    loss = lost({"name": "contrastive"}, layout(rows), vectors_RD=vectors)
    assert float(loss.total) == pytest.approx((there + back) / 2, rel=1e-9)
