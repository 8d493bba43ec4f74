"""What a family makes of the numbers that its output embedding gives: a scale, a soft cap, a bias.

They are read from its configuration and shown: numbers are put in the place of the output embedding's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from affina.core.errors import Refused

SCALES: dict[str, Callable[[float], float]] = {
    "logits_scaling": lambda value: 1 / value, "logit_scale": float, "lm_head_multiplier": float,
    "output_multiplier": float,
}  # fmt: skip
"""What configurations call the scale. Two families mean opposite things by the first: what is shown decides."""
CLOSE = 1e-4
"""Of the largest: how far what is shown may be from what is computed here."""

Run = Callable[[], Any]
"""The library's whole model over one token."""


@dataclass(frozen=True, slots=True)
class Logits:
    """softcap · tanh(scale · x / softcap) + bias, of the output embedding's x."""

    scale: float = 1.0
    softcap: float | None = None
    bias_V: Tensor | None = None

    def of(self, raw_V: Tensor) -> Tensor:
        """[V]"""
        made = self.scale * raw_V
        made = made if self.softcap is None else self.softcap * torch.tanh(made / self.softcap)
        return made if self.bias_V is None else made + self.bias_V


@torch.no_grad()
def logits_of(model: Any, run: Run) -> tuple[Logits, Tensor]:
    """And the states that went into the output embedding. Raises Refused for a family that makes something else of its
    numbers."""
    weight_VD = model.get_output_embeddings().weight
    raw_V = torch.linspace(-2, 2, len(weight_VD), device=weight_VD.device)
    (shown_V, states), (bias_V, _) = (_shown(model, run, each) for each in (raw_V, torch.zeros_like(raw_V)))
    found = _configured(model.config, bias_V if bias_V.any() else None)
    for scale in dict.fromkeys((found.scale, 1 / found.scale, 1.0)):
        made = Logits(scale, found.softcap, found.bias_V)
        if float((made.of(raw_V) - shown_V).abs().max()) <= CLOSE * max(1.0, float(shown_V.abs().max())):
            return made, states
    why = "it changes the numbers of its output embedding in a way that is not known here"
    raise Refused(f"the words of a {model.config.model_type}", why, "choose another base, or an objective with a head")


def _configured(config: Any, bias_V: Tensor | None) -> Logits:
    text, scale = config.get_text_config(), 1.0
    for name, turn in SCALES.items():
        if getattr(text, name, None):
            scale *= turn(getattr(text, name))
    return Logits(scale, getattr(text, "final_logit_softcapping", None), bias_V)


def _shown(model: Any, run: Run, raw_V: Tensor) -> tuple[Tensor, Tensor]:
    """[V] what comes out at one place where the output embedding gives these numbers, and what went into it."""
    head, taken = model.get_output_embeddings(), list[Tensor]()

    def give(states: Tensor) -> Tensor:
        taken.append(states)
        return raw_V.expand(*states.shape[:-1], -1)

    vars(head)["forward"] = give
    try:
        said: Tensor = run().logits
    finally:
        del vars(head)["forward"]
    return said[0, -1].float(), taken[0]
