"""The same operations as `plain`, each traced by torch's compiler into a few kernels of an accelerator."""

from functools import cache
from typing import Any

import torch

from affina.engine.torch.attention_cuda import triton
from affina.engine.torch.fused.plain import Plain

TRACED = ("rms_norm", "add_residual", "norm_backward", "gated", "gated_backward", "heads", "heads_backward")


class Traced(Plain):
    """The operations, each compiled at its first call for any number of rows.

    Their kernels are chosen without timing them, so that a run that is resumed adds in the order it added before.
    """

    def __init__(self) -> None:
        from torch._inductor import config  # torch's compiler is imported where it is needed

        fixed: Any = {"deterministic": True} if hasattr(config, "deterministic") else {"max_autotune": False}
        for name in TRACED:
            setattr(self, name, torch.compile(getattr(super(), name), dynamic=True, options=fixed))


@cache
def operations() -> Traced | None:
    """None where the compiler of an accelerator's kernels is not installed."""
    return Traced() if triton() else None
