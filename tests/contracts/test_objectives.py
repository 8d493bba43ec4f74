"""The law of objectives: a sum and a count that add up over any division of the rows, from what the engine computed."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from laws import taught

from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Batch, Forward, Loss, Row, objectives
from affina.data.compose import units
from affina.data.layout import layout

NAMES = objectives.names()
HEADS = ("words", "vector", "labels", "score", "margin", "tags", "span")
READS = ("past", "both", "order", "source")
LABELS = ("refund", "delay", "other")
ROWS = [
    Row(
        f"r:{n}",
        np.arange(10 + n, dtype=np.int32),
        (np.arange(10 + n) >= 8 - n).astype(np.float32) * (1 + n % 2),
        label=n % 3,
    )
    for n in range(6)
]
EXAMPLES: dict[type[Example], Example] = {
    Chat: Chat(id="a", messages=(Message("user", "x"), Message("assistant", "y"))),
    Text: Text(id="b", text="x"),
    Labelled: Labelled(id="c", split="train", text="where is it {labels}", label="delay", labels=LABELS),
}


def computed(batch: Batch, head: str) -> Forward:
    """Numbers that depend on the row alone."""
    weights, owners = torch.from_numpy(batch.weights_S), torch.from_numpy(batch.owners_S)
    labels = torch.from_numpy(batch.labels_R)
    if head in ("labels", "score", "margin", "vector"):
        size = 3.0 if head in ("labels", "vector") else 1.0
        scores = torch.stack([torch.sin(torch.arange(size) + int(name[2:]) + 1) for name in batch.ids])
        scores.requires_grad_(True)
        return Forward(weights, owners, labels, **{"vectors_RD" if head == "vector" else "scores_RL": scores})
    if head in ("tags", "span"):
        places = torch.sin(torch.from_numpy(batch.tokens_T[batch.sources_S])[:, None] * torch.arange(1.0, 4.0))
        places = places[:, : 3 if head == "tags" else 2].clone().requires_grad_(True)
        return Forward(weights, owners, labels, scores_SL=places)
    logprobs = -1 - torch.sin(torch.from_numpy(batch.targets_S).float()).abs()
    return Forward(weights, owners, labels, logprobs.requires_grad_(True))


def loss_of(name: str, rows: Sequence[Row]) -> Loss:
    part, batch = objectives.build(name), layout(rows)
    return part.loss(computed(batch, part.head), batch)


def rows_of(name: str) -> list[Row]:
    return taught(ROWS, objectives.build(name))


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = objectives.build(name)
    assert part.name == name == objectives.dump(part) and objectives.build(objectives.dump(part)) == part
    assert type(part).__doc__ and len(type(part).model_fields) <= 10
    assert all(field.description for field in type(part).model_fields.values())
    assert part.head in HEADS and part.reads in READS and part.consumes
    assert all(issubclass(kind, Example) for kind in part.consumes)


@pytest.mark.parametrize("name", NAMES)
def test_sums_and_counts_of_parts_add_up_to_those_of_the_whole(name: str) -> None:
    if objectives.build(name).couples:
        return
    held = units(rows_of(name))
    whole = loss_of(name, rows_of(name))
    last = len(held) - 1
    for parts in (
        [[*range(last + 1)]],
        [[0], [*range(1, last + 1)]],
        [[last, 0], [*range(1, last)]],
        [[n] for n in range(last + 1)],
    ):
        losses = [loss_of(name, [row for n in part for row in held[n]]) for part in parts]
        assert sum(float(each.total.detach()) for each in losses) == pytest.approx(
            float(whole.total.detach()), rel=1e-6
        )
        assert sum(each.count for each in losses) == pytest.approx(whole.count, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_is_one_differentiable_number_and_twice_the_same(name: str) -> None:
    part, batch = objectives.build(name), layout(rows_of(name))
    forward = computed(batch, part.head)
    loss = part.loss(forward, batch)
    assert loss.total.shape == () and loss.count > 0 and float(loss.total.detach()) > 0
    assert float(part.loss(forward, batch).total.detach()) == float(loss.total.detach())
    torch.autograd.backward(loss.total)
    leaves = (forward.logprobs_S, forward.scores_RL, forward.scores_SL, forward.vectors_RD)
    leaf = next(each for each in leaves if each is not None)
    assert leaf is not None and leaf.grad is not None and torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_expanding_keeps_every_example_its_id_its_split_and_the_columns_beside_it(name: str) -> None:
    part = objectives.build(name)
    aside: dict[str, Any] = {"split": "train", "facts": {"who": "me"}, "origin": "a.txt:1", "made": "noise: 1"}
    given = [replace(example, **aside) for kind, example in EXAMPLES.items() if kind in part.consumes]
    expanded = part.expand(given)
    assert [each.beside() for each in expanded] == [{"id": each.id, **aside} for each in given]
    assert part.expand(given) == expanded and part.expand([]) == []


def test_cross_entropy_is_the_weighted_sum_of_nats_over_the_sum_of_weights() -> None:
    batch = layout(ROWS)
    logprobs = torch.log(torch.linspace(0.1, 0.9, len(batch.targets_S)))
    forward = Forward(torch.from_numpy(batch.weights_S), torch.from_numpy(batch.owners_S), torch.zeros(6), logprobs)
    loss = objectives.build("cross_entropy").loss(forward, batch)
    expected = sum(-w * math.log(p) for w, p in zip(batch.weights_S, np.linspace(0.1, 0.9, len(logprobs)), strict=True))
    assert float(loss.total) == pytest.approx(expected, rel=1e-5) and loss.count == pytest.approx(batch.weights_S.sum())


def test_cross_entropy_asks_a_labelled_text_with_all_labels_and_answers_with_its_own() -> None:
    (asked,) = objectives.build("cross_entropy").expand([EXAMPLES[Labelled]])
    assert isinstance(asked, Chat) and [each.role for each in asked.messages] == ["system", "user", "assistant"]
    assert asked.messages[0].content.endswith("\nrefund\ndelay\nother")
    assert asked.messages[1].content == "where is it {labels}"  # the text is data, never a template
    assert asked.messages[2].content == "delay" and asked.options == LABELS
    with pytest.raises(ValueError, match=r"must contain \{labels\}"):
        objectives.build({"name": "cross_entropy", "instruction": "Classify."})


def test_classify_is_the_sum_of_label_nats_by_hand() -> None:
    # Equal scores: log 3 nats for each of six rows.
    batch = layout(ROWS)
    scores = torch.zeros(6, 3)
    forward = Forward(torch.zeros(0), torch.zeros(0), torch.from_numpy(batch.labels_R), scores_RL=scores)
    loss = objectives.build("classify").loss(forward, batch)
    assert float(loss.total) == pytest.approx(6 * math.log(3), rel=1e-6) and loss.count == 6
    scores[0, ROWS[0].label] = 50.0  # one row certain of its right label: nothing to pay
    assert float(objectives.build("classify").loss(forward, batch).total) == pytest.approx(5 * math.log(3), rel=1e-6)
