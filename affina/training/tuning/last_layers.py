"""Partial fine-tuning: the last blocks move, what lies below them is frozen (Lee, Tang & Lin, 2019)."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from affina.core.errors import Refused
from affina.training.whole import Partial

if TYPE_CHECKING:
    import torch


class LastLayers(Partial):
    """The last blocks and the norm after them move, kept in float32; embeddings and what ends in words stay. An
    encoder–decoder's last blocks are its decoder's. With a label head, which always moves, 0 layers make a linear
    probe. Written as a whole model folder."""

    learning_rate: ClassVar[float] = 1e-4

    layers: int = Field(2, ge=0)
    """How many of the last blocks move."""

    def moving(self, model: "torch.nn.Module") -> "list[torch.nn.Parameter]":
        """Those of the last blocks, and of the norms that stand beside the list of blocks.

        Raises Refused for a model without such a list, or with fewer blocks.
        """
        from affina.training.depth import stacked

        blocks = stacked(model, "tuning last_layers")
        if self.layers > len(blocks):
            raise Refused(f"tuning last_layers: {self.layers} layers", f"this base has {len(blocks)}", "set fewer")
        last = blocks[len(blocks) - self.layers :]
        above = [each for each in model.modules() if _holds(each, {blocks[-1], *last})]
        named = [pair for owner in above for pair in owner.named_children()]
        norms = [each for name, each in named if _is_norm(each) and "embed" not in name]
        moving = [*last, *norms]
        return [parameter for module in moving for parameter in module.parameters()]


def _holds(owner: "torch.nn.Module", blocks: "set[torch.nn.Module]") -> bool:
    """Whether a list of blocks with one of these is its own."""
    return any(block in blocks for held in owner.children() for block in held.children())


def _is_norm(module: "torch.nn.Module") -> bool:
    """Whether it holds vectors and nothing else."""
    held = [*module.parameters()]
    return bool(held) and all(each.ndim == 1 for each in held)
