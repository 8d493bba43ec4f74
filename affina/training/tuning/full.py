"""Full fine-tuning: every weight of the base moves."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from affina.core.kinds import Tuning

if TYPE_CHECKING:
    import torch

KEPT = ("*.json", "*.jinja", "LICENSE*", "*.txt")  # of the base's folder, beside the new weights
WEIGHTS = "model.safetensors"


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
        import torch
        from safetensors.torch import save

        named = dict(model.named_parameters())  # a tied weight stands once, under its first name
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        kept = getattr(torch, config.get("dtype") or config.get("torch_dtype") or "float32")
        tensors = {name: each.detach().to("cpu", kept).contiguous() for name, each in named.items()}
        (folder / WEIGHTS).write_bytes(save(tensors, {"format": "pt"}))
        for pattern in KEPT:
            for file in base.glob(pattern):
                if not file.name.endswith(".index.json"):
                    shutil.copy(file, folder / file.name)
