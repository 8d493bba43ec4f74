"""Penalties on one optimizer step: of several draws in each micro-batch's loss, of the weights once for the step."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from affina.core.errors import Refused
from affina.core.kinds import Batch, Loss, Objective, Penalty
from affina.engine.torch.frozen import draws

if TYPE_CHECKING:
    from affina.engine.torch.model import TorchModel


class Penalised:
    """A run's penalties beside the network they are for."""

    def __init__(self, penalties: Sequence[Penalty], weights: Mapping[str, torch.nn.Parameter]) -> None:
        self.drawn = [each for each in penalties if each.draws > 1]
        self.pulls = [each for each in penalties if each.draws == 1]
        starts = weights if self.pulls else {}
        self.starts = {name: each.detach().to(torch.float32, copy=True) for name, each in starts.items()}

    def require(self, model: "TorchModel") -> None:
        """Raises Refused where several draws of a batch would be the same."""
        if self.drawn and not draws(model.network):
            raise Refused(
                f"penalty {self.drawn[0].name} compares two draws of dropout",
                why="with this base and tuning dropout is 0 everywhere, so that both draws are the same",
                instead="set model.dropout or the tuning's own dropout",
            )

    def loss(self, model: "TorchModel", batch: Batch, objective: Objective) -> Loss:
        """The mean of the objective's loss over the draws, and what the penalties make of them.

        Where dropout is off all draws would be alike, and one is made.
        """
        first = model.forward(batch)
        loss = objective.loss(first, batch)
        if not self.drawn or not model.network.training:
            return loss
        count = max(each.draws for each in self.drawn)
        forwards = [first, *(model.forward(batch) for _ in range(count - 1))]
        losses = [loss, *(objective.loss(each, batch) for each in forwards[1:])]
        total = torch.stack([each.total for each in losses]).mean()
        metrics = {name: sum(each.metrics[name] for each in losses) / count for name in loss.metrics}
        for penalty in self.drawn:
            term = penalty.of_draws(forwards[: penalty.draws], batch)
            if term is not None:
                total = total + term
                metrics[penalty.name] = metrics.get(penalty.name, 0.0) + float(term.detach())
        return Loss(total, loss.count, metrics)

    def pull(self, weights: Mapping[str, torch.nn.Parameter]) -> dict[str, float]:
        """Adds to a step's mean gradient that of the terms of the weights that got one; the terms by name."""
        found: dict[str, float] = {}
        moving = {name: each for name, each in weights.items() if each.grad is not None}
        for penalty in self.pulls:
            term = penalty.of_weights(moving, self.starts)
            if term is not None:
                term.backward()  # type: ignore[no-untyped-call]
                found[penalty.name] = found.get(penalty.name, 0.0) + float(term.detach())
        return found
