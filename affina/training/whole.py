"""A trained model as a whole folder that other tools load: weights in the base's own dtype, and the base's files."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

KEPT = ("*.json", "*.jinja", "LICENSE*", "*.txt")  # of the base's folder, beside the new weights
WEIGHTS = "model.safetensors"


def write_folder(model: "torch.nn.Module", folder: Path, base: Path) -> None:
    """Writes into an existing folder. A tied weight stands once, under its first name."""
    import torch

    from affina.engine.torch import tensor_file

    named = dict(model.named_parameters())
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    kept = getattr(torch, config.get("dtype") or config.get("torch_dtype") or "float32")
    tensors = {name: each.detach().to("cpu", kept) for name, each in named.items()}
    tensor_file.write(tensors, folder / WEIGHTS, {"format": "pt"})
    for pattern in KEPT:
        for file in base.glob(pattern):
            if not file.name.endswith(".index.json"):
                shutil.copy(file, folder / file.name)
