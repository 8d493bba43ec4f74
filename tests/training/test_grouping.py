"""Groups in the loss: alike by hand, group DRO against its paper's updates, and the same run after an interruption."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laws import engine

from affina.core.errors import Refused
from affina.core.example import Chat, Labelled, Message
from affina.core.kinds import Forward, Group, Loss, Objective, Row, objectives
from affina.data.layout import layout
from affina.training.grouping import grouped, grown, robust, weight_of

LABELS = ("no", "yes", "maybe")
WHO = ["a", "a", "a", "a", "b", "b"]
EXAMPLES = [
    Labelled(id=f"f:{n}", text=f"text {n}", label=LABELS[n % 2], labels=LABELS, facts={"who": who})
    for n, who in enumerate(WHO)
]
ROWS = [Row(f"f:{n}", np.arange(10 + n, dtype=np.int32), np.zeros(10 + n, np.float32), label=n % 2) for n in range(6)]


def part(**settings: Any) -> Objective:
    return objectives.build({"name": "classify", "group_by": ["who"], **settings})


def weighed(objective: Objective) -> list[Row]:
    return objective.weighed(ROWS, EXAMPLES)


def lost(objective: Objective, rows: Sequence[Row], known: dict[str, float] | None = None) -> Loss:
    scores = torch.stack([torch.sin(torch.arange(3.0) + int(row.id[2:])) for row in rows]).double()
    labels = torch.tensor([row.label for row in rows])
    return objective.loss(
        Forward(torch.zeros(0), torch.zeros(0), labels, scores_RL=scores, known=known or {}), layout(rows)
    )


def nats() -> list[float]:
    return [float(lost(objectives.build("classify"), [row]).total) for row in ROWS]


def test_groups_count_alike() -> None:
    """6 / (2 · 4) and 6 / (2 · 2), so that the loss is the mean of the two groups' means."""
    rows = weighed(part())
    assert [row.weight for row in rows] == [0.75] * 4 + [1.5] * 2
    loss, each = lost(part(), rows), nats()
    assert float(loss.total) / loss.count == pytest.approx((np.mean(each[:4]) + np.mean(each[4:])) / 2)


def test_groups_and_classes_multiply_and_two_columns_make_a_group_of_each_pair() -> None:
    both = part(class_weights={"yes": 3.0})
    assert [row.weight for row in weighed(both)] == [0.75, 2.25, 0.75, 2.25, 1.5, 4.5]
    paired = [replace(each, facts={**each.facts, "label": each.label}) for each in EXAMPLES]
    rows = part(group_by=["who", "label"]).weighed(ROWS, paired)
    assert [row.group and row.group.name for row in rows[:2]] == ["a and no", "a and yes"]
    assert [row.weight for row in rows] == [6 / (4 * 2)] * 4 + [6 / (4 * 1)] * 2


def test_group_dro_is_the_papers_updates_by_hand() -> None:
    """q is 1/2 each; after a step each is multiplied by exp(η · (its mean loss + C / √its rows)) and they sum to 1. The
    loss is Σ q · mean loss of the group, and C / √rows a constant of it."""
    objective = part(dro_step=0.5, dro_adjustment=1.0)
    rows, each = weighed(objective), nats()
    means = {"a": np.mean(each[:4]) + 1 / math.sqrt(4), "b": np.mean(each[4:]) + 1 / math.sqrt(2)}
    known: dict[str, float] = {}
    q = {"a": 0.5, "b": 0.5}
    for _ in range(3):
        loss = lost(objective, rows, known)
        assert float(loss.total) / loss.count == pytest.approx(sum(q[name] * means[name] for name in q))
        metrics = {name: value / loss.count for name, value in loss.metrics.items()}
        known = dict(objective.after(known, metrics))
        q = {name: q[name] * math.exp(0.5 * means[name]) for name in q}
        q = {name: value / sum(q.values()) for name, value in q.items()}
        for row in (rows[0], rows[5]):
            assert row.group is not None and weight_of(row.group, known) == pytest.approx(q[row.group.name])


def test_parts_of_a_batch_add_up_to_it_under_group_dro() -> None:
    objective = part(dro_step=0.5)
    rows, known = weighed(objective), {"a": 0.3, "b": 1.1}
    whole = lost(objective, rows, known)
    for cut in (1, 4, 5):
        parts = [lost(objective, each, known) for each in (rows[:cut], rows[cut:])]
        assert sum(float(each.total) for each in parts) == pytest.approx(float(whole.total))
        assert sum(each.count for each in parts) == pytest.approx(whole.count)
        for name, value in whole.metrics.items():
            assert sum(each.metrics.get(name, 0.0) for each in parts) == pytest.approx(value)


def test_a_group_that_a_step_does_not_meet_keeps_its_log_weight() -> None:
    known = grown({"a": 1.0}, {"group loss of b": 3.0, "group share of b": 1.5, "loss": 9.0}, 0.1)
    assert known == {"a": 1.0, "b": pytest.approx(0.2)}
    third = Group("c", 1, 3)
    assert sum(weight_of(replace(third, name=name), known) for name in "abc") == pytest.approx(1)
    assert weight_of(third, {"a": 5000.0}) == 0 and weight_of(third, {}) == 1 / 3


def test_tokens_of_a_group_count_by_its_weight() -> None:
    rows = [Row(f"f:{n}#1", np.arange(9, dtype=np.int32), (np.arange(9) > 6).astype(np.float32)) for n in range(6)]
    chats = [
        Chat(id=f"f:{n}", messages=(Message("user", "x"), Message("assistant", "y")), facts={"who": who})
        for n, who in enumerate(WHO)
    ]
    objective = objectives.build({"name": "cross_entropy", "group_by": ["who"], "dro_step": 1.0})
    made = objective.weighed(rows, chats)
    batch = layout(made)
    logprobs = torch.linspace(-3, -1, 12).double()
    forward = Forward(
        torch.from_numpy(batch.weights_S), torch.from_numpy(batch.owners_S), torch.zeros(6), logprobs,
        known={"a": 0.0, "b": math.log(3)},
    )  # fmt: skip
    loss = objective.loss(forward, batch)
    expected = 0.25 * -float(logprobs[:8].mean()) + 0.75 * -float(logprobs[8:].mean())
    assert float(loss.total) / loss.count == pytest.approx(expected)


Folder = Callable[[str], Path]


def test_a_run_goes_on_to_the_bit_where_its_groups_stood(family: Folder, tmp_path: Path) -> None:
    objective = part(dro_step=0.7)
    rows = weighed(objective)

    def steps(made: Any, numbers: Sequence[int]) -> None:
        for number in numbers:
            batches = [made.layout(each) for each in ([rows[0], rows[4]], [rows[number % 4], rows[5]])]
            made.learn(batches, objective, number)

    whole, first, second = (engine(family("llama"), objective, "lora") for _ in range(3))
    steps(whole, [1, 2, 3, 4])
    steps(first, [1, 2])
    first.save(tmp_path / "c")
    second.load(tmp_path / "c")
    assert second.known == first.known and len(second.known) == 2
    steps(second, [3, 4])
    assert second.known == whole.known
    for name, tensor in whole.trainable().items():
        assert torch.equal(tensor, second.trainable()[name]), name


def test_what_is_learnt_and_undone_leaves_the_groups_where_they_stood(family: Folder) -> None:
    objective = part(dro_step=0.7)
    made, rows = engine(family("llama"), objective, "lora"), weighed(objective)
    with made.undone():
        made.learn([made.layout(rows)], objective, 1)
        assert made.known
    assert not made.known


def test_what_cannot_be_grouped_is_refused_in_a_sentence() -> None:
    with pytest.raises(Refused, match=r"f:0: objective.group_by: the row has no region.*put region under data.keep"):
        part(group_by=["region"]).weighed(ROWS, EXAMPLES)
    with pytest.raises(Refused, match="all training rows are of the group 'a'"):
        grouped(ROWS[:4], EXAMPLES[:4], ["who"])
    with pytest.raises(ValueError, match="name the column that tells them apart under group_by"):
        objectives.build({"name": "classify", "dro_step": 0.1})
    with pytest.raises(ValueError, match="set dro_step too"):
        part(dro_adjustment=1.0)


def test_the_weights_are_of_a_distribution_however_large_the_losses_grew() -> None:
    group = Group("a", 1, 2)
    values = torch.tensor([2.0], dtype=torch.float64)
    loss = robust(values, torch.ones(1).double(), [group], {"a": 1e4, "b": 1e4}, 1.0)
    assert float(loss.total) == pytest.approx(2.0) and loss.metrics["group loss of a"] == 2.0
