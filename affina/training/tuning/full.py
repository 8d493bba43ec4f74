"""Full fine-tuning: every weight of the base moves."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from affina.core.kinds import Tuning
from affina.training.whole import write_folder

if TYPE_CHECKING:
    import torch


class Full(Tuning):
    """Every weight moves, kept in float32. Written as a whole model folder in the base's own dtype."""

    learning_rate: ClassVar[float] = 3e-5

    def apply(self, model: "torch.nn.Module") -> None:
        for parameter in model.parameters():
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)

    def count(self, model: "torch.nn.Module") -> int:
        return sum(parameter.numel() for parameter in model.parameters())

    def write(self, model: "torch.nn.Module", folder: Path, base: Path) -> None:
        write_folder(model, folder, base)
