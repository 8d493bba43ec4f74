"""A model as a whole folder that other tools load: its weights, and the files of the base that it came of."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

KEPT = ("*.json", "*.jinja", "LICENSE*", "*.txt")  # of the base's folder, beside the new weights
WEIGHTS = "model.safetensors"


def write_folder(model: "torch.nn.Module", folder: Path, base: Path, wide: bool = False) -> None:
    """Writes into an existing folder: weights in the base's own dtype, or `wide` in float32, and the base's files.

    A tied weight stands once, under its first name; a buffer of a checkpoint stays as it is. A configuration that names
    another class than one that ends in words says so now.
    """
    import torch

    from affina.engine.torch import tensor_file

    kept = torch.float32 if wide else kept_dtype(base)
    tensors = {name: each.detach().to("cpu", kept) for name, each in model.named_parameters()}
    tensor_file.write({**tensors, **buffers_of(model)}, folder / WEIGHTS, {"format": "pt"})
    for pattern in KEPT:
        for file in base.glob(pattern):
            if not file.name.endswith(".index.json"):
                shutil.copy(file, folder / file.name)
    _name_class(model, folder / "config.json")


def _name_class(model: "torch.nn.Module", path: Path) -> None:
    config, own = json.loads(path.read_text(encoding="utf-8")), type(model).__name__
    words = model.get_output_embeddings() is not None  # type: ignore[operator]
    if words and own not in (config.get("architectures") or []):
        path.write_text(json.dumps({**config, "architectures": [own]}, indent=2), encoding="utf-8")


def buffers_of(model: "torch.nn.Module") -> "dict[str, torch.Tensor]":
    """What a checkpoint holds beside parameters, as it is: what spreads tokens over experts, and the like."""
    from torch import nn

    held = model.state_dict(keep_vars=True)
    return {name: each.cpu() for name, each in held.items() if not isinstance(each, nn.Parameter)}


def kept_dtype(base: Path) -> "torch.dtype":
    """In which a base's weights are written."""
    import torch

    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    found: torch.dtype = getattr(torch, config.get("dtype") or config.get("torch_dtype") or "float32")
    return found
