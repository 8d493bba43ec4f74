"""RMS norms (Zhang & Sennrich, 2019) that keep the precision they are given: the library's round to float32 inside."""

import copy

import torch
from torch import nn

CLASSES = ("RMSNorm", "T5LayerNorm")
"""How the library's classes of this form end; which of them scales by 1 + weight is found by trying."""
CLOSE = 1e-5  # of unit-sized outputs: float32 in another order; a wrong form is off by far more


class RootMeanSquare(nn.Module):
    """x · (offset + weight) / sqrt(mean(x²) + eps) over the last axis, in float32 at least, given back in x's dtype.

    On the processor the mean is taken in float64: in whatever order it is summed, by torch or by what its compiler
    makes of it, it is then rounded to the same float32.
    """

    def __init__(self, weight: torch.Tensor, eps: float, offset: float) -> None:
        super().__init__()
        self.weight, self.variance_epsilon, self.offset = weight, eps, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean = wide.square().mean(-1, keepdim=True, dtype=torch.float64 if x.device.type == "cpu" else wide.dtype)
        normed = wide * torch.rsqrt(mean + self.variance_epsilon).to(wide.dtype)
        scale = self.weight.to(wide.dtype)
        return (normed * (scale + self.offset if self.offset else scale)).to(x.dtype)


def follow_precision(model: nn.Module) -> None:
    """Puts `RootMeanSquare`, with the same parameter, where a library norm computes the same; others stay."""
    for name, norm in [*model.named_modules()]:
        if type(norm).__module__.startswith("transformers.") and type(norm).__name__.endswith(CLASSES):
            own = _same(norm)
            if own is not None:
                model.set_submodule(name, own)


@torch.no_grad()
def _same(norm: nn.Module) -> RootMeanSquare | None:
    """The own norm whose float32 outputs are this one's, shown on two small vectors; None when neither form's are."""
    weight, eps = norm._parameters.get("weight"), vars(norm).get("variance_epsilon", vars(norm).get("eps"))
    if weight is None or weight.ndim != 1 or eps is None or len(norm.state_dict()) != 1:
        return None
    probe = torch.linspace(-1.0, 2.0, 2 * weight.numel(), device=weight.device).view(2, -1)
    probe[1] *= eps**0.5  # where a wrong eps shows
    expected = copy.deepcopy(norm).float()(probe)
    for offset in (0.0, 1.0):
        own = RootMeanSquare(weight, eps, offset)
        if torch.allclose(own(probe), expected, rtol=CLOSE, atol=CLOSE):
            return own
    return None
