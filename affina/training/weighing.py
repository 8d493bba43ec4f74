"""What a prediction counts for in a loss: by its class, and by how sure it already is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from affina.core.errors import Refused, nearest
from affina.core.example import Example, Labelled
from affina.core.kinds import Objective, Row

if TYPE_CHECKING:
    import torch

Positive = Annotated[float, Field(gt=0)]
ClassWeights = Literal["balanced"] | dict[str, Positive]


class Shaped(Objective):
    """An objective of one right answer among many, whose loss may be smoothed and focused on what is unsure."""

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """The share of the target spread evenly over all possible answers (Szegedy et al., 2016)."""
    focal: float = Field(0.0, ge=0)
    """γ of the focal loss -(1 - p)^γ log p, which leaves out what is already sure (Lin et al., 2017); 0: plain. With
    label smoothing it is the target's own part that is focused."""

    def shaped(self, logprobs: "torch.Tensor", spread: "torch.Tensor | None") -> "torch.Tensor":
        """The loss of each target, from its log-probability and the mean log-probability of all possible answers.

        `spread` is needed with label smoothing alone.
        """
        import torch

        nats = -logprobs
        if self.focal:
            unsure = -torch.expm1(logprobs)  # 1 - p, exact where p is near 1
            nats = nats * unsure.clamp_min(torch.finfo(unsure.dtype).tiny) ** self.focal
        if spread is None:
            return nats
        return (1 - self.label_smoothing) * nats - self.label_smoothing * spread


class Weighing(Shaped):
    """An objective of one right answer whose loss may be weighed by class too."""

    class_weights: ClassWeights | None = None
    """What a labelled example counts for: `balanced`, examples / (classes · examples of its class), or a number by
    label, 1 where none is given; none: all alike. Validation counts all alike."""

    def weighed(self, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:
        if self.class_weights is None:
            return list(rows)
        labelled = {each.id: each.label for each in examples if isinstance(each, Labelled)}
        if len(labelled) < len(examples):
            raise Refused(
                "objective.class_weights", why="the data have examples without one label", instead="leave it out"
            )
        weights = _by_label(self.class_weights, Counter(labelled.values()))
        return [_scaled(row, weights[labelled[row.id]]) for row in rows]


def _by_label(given: ClassWeights, counts: Mapping[str, int]) -> dict[str, float]:
    if isinstance(given, str):
        total = sum(counts.values())
        return {label: total / (len(counts) * count) for label, count in counts.items()}
    if unknown := [label for label in given if label not in counts]:
        raise Refused(
            f"objective.class_weights: no training example is labelled '{unknown[0]}'",
            instead=nearest(unknown[0], sorted(counts)),
        )
    return {label: given.get(label, 1.0) for label in counts}


def _scaled(row: Row, weight: float) -> Row:
    return replace(row, weight=weight, weights=(row.weights * np.float32(weight)).astype(np.float32))
