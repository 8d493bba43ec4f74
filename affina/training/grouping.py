"""Rows by group: every group counting alike, or the worst counting most (group DRO; Sagawa et al., 2020)."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from affina.core.errors import Refused
from affina.core.example import Example
from affina.core.kinds import Group, Loss, Row

if TYPE_CHECKING:
    import torch

LOSS, SHARE = "group loss of ", "group share of "
"""What the metrics of a step are called, before the group's name."""


def grouped(rows: Sequence[Row], examples: Sequence[Example], by: Sequence[str]) -> list[Row]:
    """The training rows with their groups, each counting rows / (groups · rows of its group). Raises Refused for a row
    without one, and for a single group."""
    of = {each.id: _name(each, by) for each in examples}
    named = [of[row.id if row.id in of else row.id.rpartition("#")[0]] for row in rows]
    counts = Counter(named)
    if len(counts) < 2:
        raise Refused(
            f"objective.group_by: all training rows are of the group '{named[0]}'",
            instead="name a column that tells rows apart, or leave it out",
        )
    groups = {name: Group(name, count, len(counts)) for name, count in counts.items()}
    return [
        replace(scaled(row, len(rows) / (len(counts) * counts[name])), group=groups[name])
        for row, name in zip(rows, named, strict=True)
    ]


def scaled(row: Row, weight: float) -> Row:
    """The row counting so many times what it did."""
    return replace(row, weight=row.weight * weight, weights=(row.weights * np.float32(weight)).astype(np.float32))


def robust(
    nats: "torch.Tensor", weights: "torch.Tensor", groups: Sequence[Group], known: Mapping[str, float], count: float
) -> Loss:
    """The loss with every prediction weighed by its group's q, times the number of groups; and what `grown` reads."""
    shares = {each.name: each.groups * weight_of(each, known) for each in groups}
    total = (nats * weights * nats.new_tensor([shares[each.name] for each in groups])).sum()
    metrics = {}
    for name in shares:
        mine = nats.new_tensor([float(each.name == name) for each in groups]) * weights
        metrics[LOSS + name] = float((nats.detach() * mine).sum())
        metrics[SHARE + name] = float(mine.sum())
    return Loss(total, count, metrics)


def weight_of(group: Group, known: Mapping[str, float]) -> float:
    """A group's q: its share of all exp(log-weights), which are 0 until a group is met."""
    most = max(0.0, *known.values()) if known else 0.0
    everyone = sum(math.exp(each - most) for each in known.values()) + (group.groups - len(known)) * math.exp(-most)
    return math.exp(known.get(group.name, 0.0) - most) / everyone


def grown(known: Mapping[str, float], metrics: Mapping[str, float], step: float) -> dict[str, float]:
    """The groups' log-weights after a step: those that it met grow by step · their mean loss."""
    named = [name.removeprefix(LOSS) for name in metrics if name.startswith(LOSS)]
    met = [name for name in named if metrics[SHARE + name]]
    more = {name: step * metrics[LOSS + name] / metrics[SHARE + name] for name in met}
    return {name: known.get(name, 0.0) + more.get(name, 0.0) for name in {**known, **more}}


def _name(example: Example, by: Sequence[str]) -> str:
    values = [example.facts.get(column, "") for column in by]
    absent = next((column for column, value in zip(by, values, strict=True) if not value), None)
    if absent is not None:
        raise Refused(
            f"objective.group_by: the row has no {absent}",
            why="its group is told by the column, which must be kept beside the text",
            instead=f"put {absent} under data.keep, and fill it in every row",
            where=example.id,
        )
    return " and ".join(values)
