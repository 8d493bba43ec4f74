"""Partial fine-tuning by what stays: the first blocks, the last ones, or parameters by name."""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from affina.core.errors import Refused
from affina.training.whole import Partial

if TYPE_CHECKING:
    import torch


class Freeze(Partial):
    """What is named stays, all else moves, kept in float32 (Lee, Tang & Lin, 2019). Written as a whole model folder."""

    learning_rate: ClassVar[float] = 3e-5

    first: int = Field(1, ge=0)
    """How many of the first blocks stay, and with any of them the embeddings below."""
    last: int = Field(0, ge=0)
    """How many of the last blocks stay."""
    names: list[str] = Field(default=[])
    """Parameters that stay by name: patterns of which `*` stands for anything, such as `*.bias` or `*embed*`."""

    def moving(self, model: "torch.nn.Module") -> "list[torch.nn.Parameter]":
        """Raises Refused for a pattern that names nothing, more blocks than there are, or nothing left to move."""
        from affina.training.depth import places

        named = dict(model.named_parameters())
        for pattern in self.names:
            if not any(fnmatchcase(name, pattern) for name in named):
                raise Refused(
                    f"tuning freeze: '{pattern}' names no parameter of this base",
                    instead=f"its parameters are called {', '.join([*named][:3])} …",
                )
        stays = {name for name in named if any(fnmatchcase(name, pattern) for pattern in self.names)}
        if self.first or self.last:
            place, count = places(model, "tuning freeze by blocks")
            if self.first + self.last > count:
                raise Refused(
                    f"tuning freeze: {self.first + self.last} blocks", f"this base has {count}", "freeze fewer"
                )
            stays |= {name for name in named if self.first and place[name] < self.first}
            stays |= {name for name in named if count - self.last <= place[name] < count}
        moving = [each for name, each in named.items() if name not in stays]
        if not moving:
            raise Refused("tuning freeze: nothing is left to move", instead="freeze fewer blocks or names")
        return moving
