"""Block expansion: copies of blocks that begin as the identity learn, all else stays (LLaMA Pro, Wu et al., 2024)."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from affina.training.whole import Partial

if TYPE_CHECKING:
    import torch


class BlockExpansion(Partial):
    """Copies of the last blocks of equal runs of blocks, put after them with zeroed outputs, move, kept in float32
    (Wu et al., 2024). Written as a whole model folder, deeper than the base's."""

    learning_rate: ClassVar[float] = 2e-4

    groups: int = Field(2, ge=1)
    """Equal runs of blocks, each with copies at its end; the paper has 8 of 4 blocks each."""
    copies: int = Field(1, ge=1)
    """How many of a run's last blocks are copied."""

    def apply(self, model: "torch.nn.Module") -> None:
        """Raises Refused for fewer blocks than copies, and for a base whose blocks cannot be the identity."""
        from affina.engine.torch.expand import expand

        expand(model, self.groups, self.copies)
        super().apply(model)

    def moving(self, model: "torch.nn.Module") -> "list[torch.nn.Parameter]":
        """The copies' own; of a model that is expanded already."""
        from affina.engine.torch.expand import copies

        return [each for block in copies(model, self.groups, self.copies) for each in block.parameters()]

    def write(self, model: "torch.nn.Module", folder: Path, base: Path) -> None:
        from affina.engine.torch.expand import changed

        super().write(model, folder, base)
        config = json.loads((base / "config.json").read_text(encoding="utf-8")) | changed(model)
        (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
