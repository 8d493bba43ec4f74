"""What a prediction counts for in a loss: by its class, by its group, and by how sure it already is."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from affina.core.errors import Refused, nearest
from affina.core.example import Example, Labelled
from affina.core.kinds import Batch, Forward, Group, Loss, Objective, Row
from affina.training.grouping import grouped, grown, robust, scaled

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

    def summed(
        self, nats: "torch.Tensor", weights: "torch.Tensor", count: float, forward: Forward, batch: Batch
    ) -> Loss:
        """The loss of rows, or of supervised places, by their weights, to be divided by `count`."""
        return Loss((nats * weights).sum(), count)


class Weighing(Shaped):
    """An objective of one right answer whose loss may be weighed by class and by group too."""

    class_weights: ClassWeights | None = None
    """What a labelled example counts for: `balanced`, examples / (classes · examples of its class), or a number by
    label, 1 where none is given; none: all alike. Validation counts all alike."""
    group_by: list[str] = Field(default=[])
    """Columns under `data.keep` whose values together name a row's group; every group then counts alike, rows /
    (groups · rows of its group). [gender, label] makes a group of each gender in each class."""
    dro_step: float = Field(0.0, ge=0)
    """Step size η of group DRO (Sagawa et al., 2020): after every step a group's weight q is multiplied by
    exp(η · its loss), so that the worst group comes to count most; the paper has 0.01. 0: groups count alike."""
    dro_adjustment: float = Field(0.0, ge=0)
    """C of the paper's C / √(rows of the group), added to a group's loss: small groups are fitted more closely."""

    @model_validator(mode="after")
    def _grouped(self) -> Self:
        if (self.dro_step or self.dro_adjustment) and not self.group_by:
            raise ValueError("group DRO needs groups: name the column that tells them apart under group_by")
        if self.dro_adjustment and not self.dro_step:
            raise ValueError("dro_adjustment is a part of group DRO: set dro_step too")
        return self

    def weighed(self, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:
        named = self._by_class(rows, examples)
        if not self.group_by:
            return named
        return grouped(named, examples, self.group_by)

    def summed(
        self, nats: "torch.Tensor", weights: "torch.Tensor", count: float, forward: Forward, batch: Batch
    ) -> Loss:
        """With group DRO each prediction counts by its group's weight, which what is divided by does not heed: parts of
        a batch add up, and in expectation it is the paper's Σ q · loss of the group."""
        if not self.dro_step:
            return super().summed(nats, weights, count, forward, batch)
        owners = batch.owners_S if forward.scores_RL is None else range(len(batch.rows))
        groups = [group for owner in owners if (group := batch.rows[owner].group)]
        assert len(groups) == len(nats), "training rows that were weighed have groups"
        return robust(nats + self._adjustment(nats, groups), weights, groups, forward.known, count)

    def _adjustment(self, nats: "torch.Tensor", groups: Sequence[Group]) -> "torch.Tensor":
        """C / √(rows of its group) for every prediction."""
        return nats.new_tensor([self.dro_adjustment / math.sqrt(each.rows) for each in groups])

    def after(self, known: Mapping[str, float], metrics: Mapping[str, float]) -> Mapping[str, float]:
        return grown(known, metrics, self.dro_step) if self.dro_step else {}

    def _by_class(self, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:
        if self.class_weights is None:
            return list(rows)
        labelled = {each.id: each.label for each in examples if isinstance(each, Labelled)}
        if len(labelled) < len(examples):
            raise Refused(
                "objective.class_weights", why="the data have examples without one label", instead="leave it out"
            )
        weights = _by_label(self.class_weights, Counter(labelled.values()))
        return [scaled(row, weights[labelled[row.id]]) for row in rows]


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
