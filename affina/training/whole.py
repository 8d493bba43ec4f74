"""Tunings that move the base's own parameters, and the trained model as a whole folder that other tools load."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from affina.core.errors import Refused
from affina.core.kinds import Tuning
from affina.engine.torch.whole import kept_dtype, write_folder

if TYPE_CHECKING:
    import torch


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
