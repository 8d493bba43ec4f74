"""Tunings that move the base's own parameters, and the trained model as a whole folder that other tools load."""

import json
import shutil
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from affina.core.errors import Refused
from affina.core.kinds import Tuning

if TYPE_CHECKING:
    import torch

KEPT = ("*.json", "*.jinja", "LICENSE*", "*.txt")  # of the base's folder, beside the new weights
WEIGHTS = "model.safetensors"


class Partial(Tuning):
    """A tuning under which some of the base's own parameters move, kept in float32; written as a whole model folder."""

    def apply(self, model: "torch.nn.Module") -> None:
        from affina.engine.torch.quantised import Quantised

        if any(isinstance(each, Quantised) for each in model.modules()):
            why = "numbers of so few bits cannot move by a small step"
            raise Refused(f"the tuning {self.name} on a quantised base", why, "train it on the unquantised base")
        for parameter in self.moving(model):
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)

    def count(self, model: "torch.nn.Module") -> int:
        return sum(parameter.numel() for parameter in self.moving(model))

    def write(self, model: "torch.nn.Module", folder: Path, base: Path) -> None:
        write_folder(model, folder, base)

    def merge(self, model: "torch.nn.Module") -> None:
        """Nothing is left to do: what moved is the base's own."""

    def size_bytes(self, model: "torch.nn.Module", base: Path) -> int:
        return sum(each.numel() for each in model.parameters()) * kept_dtype(base).itemsize

    @abstractmethod
    def moving(self, model: "torch.nn.Module") -> "list[torch.nn.Parameter]":
        """The parameters that move. Raises Refused where this base has none such."""


def write_folder(model: "torch.nn.Module", folder: Path, base: Path, wide: bool = False) -> None:
    """Writes into an existing folder: weights in the base's own dtype, or `wide` in float32, and the base's files.

    A tied weight stands once, under its first name.
    """
    import torch

    from affina.engine.torch import tensor_file

    named, kept = dict(model.named_parameters()), torch.float32 if wide else kept_dtype(base)
    tensors = {name: each.detach().to("cpu", kept) for name, each in named.items()}
    tensor_file.write(tensors, folder / WEIGHTS, {"format": "pt"})
    for pattern in KEPT:
        for file in base.glob(pattern):
            if not file.name.endswith(".index.json"):
                shutil.copy(file, folder / file.name)


def kept_dtype(base: Path) -> "torch.dtype":
    """In which a base's weights are written."""
    import torch

    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    found: torch.dtype = getattr(torch, config.get("dtype") or config.get("torch_dtype") or "float32")
    return found
