"""Full fine-tuning: every weight of the base moves."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from affina.training.whole import Partial

if TYPE_CHECKING:
    import torch


class Full(Partial):
    """Every weight moves, kept in float32. Written as a whole model folder in the base's own dtype."""

    learning_rate: ClassVar[float] = 3e-5

    layer_decay: float = Field(1.0, gt=0, le=1)
    """What each block's learning rate is multiplied by against the block above it; embeddings come below the first.
    1 / 2.6 is ULMFiT's (Howard & Ruder, 2018), 0.8 to 0.95 usual for encoders (Clark et al., 2020)."""

    def scales(self, model: "torch.nn.Module") -> dict[str, float]:
        if self.layer_decay == 1:
            return {}
        from affina.training.depth import places

        place, count = places(model, "tuning.layer_decay")
        return {name: self.layer_decay ** (count - each) for name, each in place.items()}

    def moving(self, model: "torch.nn.Module") -> "list[torch.nn.Parameter]":
        return [*model.parameters()]
