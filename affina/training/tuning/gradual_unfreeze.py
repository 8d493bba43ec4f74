"""Gradual unfreezing: the last block learns first, then one more at a time, each slower than the one above it."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from affina.core.kinds import Heard
from affina.training.whole import Partial

if TYPE_CHECKING:
    import torch


class GradualUnfreeze(Partial):
    """Every weight moves in the end, from the last block (and all above it) down (ULMFiT, Howard & Ruder, 2018).

    The embeddings, and an output embedding that is tied to them, come last. What is closed keeps every bit. Written as
    a whole model folder.
    """

    learning_rate: ClassVar[float] = 3e-5

    by: Literal["steps", "plateau"] = "steps"
    """What opens one more block: so many `steps`, or a validation that is no better than the best before it."""
    every: int = Field(50, ge=1)
    """Optimizer steps from one opening to the next; on a `plateau` the fewest."""
    layer_decay: float = Field(1 / 2.6, gt=0, le=1)
    """What each block's learning rate is multiplied by against the block above it; embeddings come below the first."""

    def scales(self, model: "torch.nn.Module") -> dict[str, float]:
        from affina.training.depth import places

        place, count = places(model, "tuning gradual_unfreeze")
        return {name: self.layer_decay ** (count - each) for name, each in place.items()}

    def closed(self, model: "torch.nn.Module", step: int, heard: Heard = ()) -> frozenset[str]:
        from affina.training.depth import places

        place, count = places(model, "tuning gradual_unfreeze")
        lowest = count - self.opened(step, heard)
        return frozenset(name for name, each in place.items() if each < lowest)

    def opened(self, step: int, heard: Heard = ()) -> int:
        """How many of the last blocks move at `step`, after what validation has said before it."""
        if self.by == "steps":
            return 1 + (step - 1) // self.every
        count, last, best = 1, 0, float("inf")
        for at, value in heard:
            if at >= step:
                break
            if value < best:
                best = value
            elif at - last >= self.every:
                count, last = count + 1, at
        return count

    def moving(self, model: "torch.nn.Module") -> "list[torch.nn.Parameter]":
        return [*model.parameters()]
