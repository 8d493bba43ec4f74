"""A base without its weights: its class made of its configuration on torch's meta device, which holds shapes alone."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from affina.core.kinds import Ending, Tuning
from affina.engine.torch import dropout, family
from affina.engine.torch.bare import Bare


def skeleton(folder: Path, ending: Ending, shares: Mapping[str, float | None]) -> Any:
    """What `load` would give, without a number in it. Raises Refused for what `load` would refuse by configuration."""
    config, kind, name = family.configured(folder, ending, shares)
    try:
        with Bare(counted=False), torch.device("meta"):
            model = kind.from_config(config, attn_implementation=name, dtype=torch.float32)
    except family.UNREADABLE as error:
        raise family.unusable(folder, error) from error
    dropout.before_head(nn.Linear(1, 1, device="meta") if ending.size else None, shares.get("head"))
    return model.requires_grad_(False)


def judge(tuning: Tuning, model: Any) -> None:
    """Applies a tuning to a skeleton. Raises Refused where the base has not what the tuning needs."""
    with suppress(RuntimeError):  # a layer that cannot be run on shapes (a router): the loaded model is judged instead
        tuning.apply(model)
