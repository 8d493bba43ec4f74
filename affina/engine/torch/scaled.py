"""A frozen linear layer whose outputs or inputs are multiplied by a learned vector ((IA)³, Liu et al., 2022)."""

import torch
from torch import nn

from affina.engine.torch.low_rank import shape


class Scaled(nn.Module):
    """y = l · base(x), or with `inner` y = base(l · x); l is a vector of ones to begin with, in PEFT's shape."""

    def __init__(self, base: nn.Module, inner: bool) -> None:
        super().__init__()
        out, into = shape(base)
        size = (1, into) if inner else (out, 1)
        self.base, self.inner = base, inner
        self.ia3_l = nn.Parameter(torch.ones(size, device=self.weight.device, dtype=torch.float32))

    @property
    def weight(self) -> torch.Tensor:
        """The layer's own: T5 reads its dtype."""
        own: torch.Tensor = self.base.weight  # type: ignore[assignment]
        return own

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        vector = self.ia3_l.flatten()
        if self.inner:
            scaled = x * vector
            made: torch.Tensor = self.base(scaled if torch.is_autocast_enabled(x.device.type) else scaled.to(x.dtype))
        else:
            made = self.base(x) * vector
        return made

    def folded(self) -> nn.Module:
        """The linear layer that answers like this one, in the base's own dtype."""
        vector = self.ia3_l.detach()
        wide = torch.promote_types(vector.dtype, self.weight.dtype)
        turned = vector if isinstance(self.base, nn.Linear) else vector.T
        self.weight.data = (self.weight.data.to(wide) * turned).to(self.weight.dtype)
        if not self.inner and self.base.bias is not None:
            bias: torch.Tensor = self.base.bias  # type: ignore[assignment]
            bias.data = (bias.data.to(wide) * vector.flatten()).to(bias.dtype)
        return self.base
