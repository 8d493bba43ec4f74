"""L2-SP (Li, Grandvalet and Davoine, 2018): what trains is pulled to where it started, a new head to nought."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from affina.core.kinds import Penalty

if TYPE_CHECKING:
    import torch


class L2Sp(Penalty):
    """alpha/2 · ‖w - w₀‖² of what trains, w₀ being its start, and beta/2 · ‖w‖² of a new head (L2-SP).

    Of a low-rank adapter the start is its own, so that its product is pulled to nought: the base as it was.
    """

    alpha: float = Field(0.1, ge=0)
    """Strength of the pull to the start."""
    beta: float = Field(0.01, ge=0)
    """Strength of the pull of a new head to nought."""

    def of_weights(
        self, weights: "Mapping[str, torch.Tensor]", starts: "Mapping[str, torch.Tensor]"
    ) -> "torch.Tensor | None":
        import torch

        terms = []
        for name, each in weights.items():
            start = starts[name]
            wide = each.to(torch.promote_types(each.dtype, start.dtype))
            old = name.startswith("model.")
            terms.append((self.alpha if old else self.beta) / 2 * ((wide - start) if old else wide).square().sum())
        return torch.stack(terms).sum() if terms else None
