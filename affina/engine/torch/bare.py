"""A model made on torch's meta device, which holds shapes and no numbers, without asking torch's compiler how."""

from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

ONE_AT_A_TIME = RLock()
"""While transformers makes a model it replaces torch's own drawing and default dtype for the whole process: of two made
at once, one would tell of weights that are missing."""


class Bare(TorchFunctionMode):
    """Inside, on this thread alone, no tensor of the meta device is drawn: torch would ask its compiler how.

    `counted`: what is counted when a model is made (rotary frequencies, places) is counted in the processor's memory:
    on the meta device counting is worked out in symbols (0.25 s of imports). Another thread waits to enter.
    """

    def __init__(self, counted: bool) -> None:
        super().__init__()
        self.counted = counted

    def __enter__(self) -> "Bare":
        ONE_AT_A_TIME.acquire()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        ONE_AT_A_TIME.release()

    def __torch_function__(
        self, asked: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if asked is nn.init.normal_ and (drawn := given["tensor"]).is_meta:
            return drawn
        if self.counted and asked is torch.arange and torch.device(given.get("device") or "cpu").type == "meta":
            given = {**given, "device": "cpu"}
        return asked(*args, **given)
