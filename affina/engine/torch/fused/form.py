"""What a family's block is, beside its weights."""

from dataclasses import dataclass
from typing import Any

from affina.engine.torch import flash
from affina.engine.torch.fused.plain import Act, Heads


@dataclass(frozen=True, slots=True)
class Form:
    """What a family's block is, beside its weights."""

    heads: Heads
    act: Act
    attends: dict[str, Any]
    """How the block's attention calls its function: scaling, sliding_window, softcap."""
    turned: int
    """How many of a head's first numbers its position turns."""
    times: float = 1.0
    """What the halves' outputs are multiplied by before the residual sums."""
    causal: bool = True
    """Whether a query sees nothing that comes after it."""

    @property
    def rule(self) -> flash.Rule:
        """The same for the kernels."""
        scale, window, softcap = (self.attends.get(name) for name in ("scaling", "sliding_window", "softcap"))
        return flash.Rule(self.heads.width**-0.5 if scale is None else scale, self.causal, window, softcap)
