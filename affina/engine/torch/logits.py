"""What a family makes of the numbers that its output embedding gives: a scale, a soft cap, a bias.

They are read from its configuration and shown: numbers are put in the place of the output embedding's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from affina.core.errors import Refused
from affina.core.kinds import Segment
from affina.engine.torch import attention
from affina.engine.torch.machine import device
from affina.engine.torch.padded import CLOSE as ROUNDED

SCALES: dict[str, Callable[[float], float]] = {
    "logits_scaling": lambda value: 1 / value, "logit_scale": float, "lm_head_multiplier": float,
    "output_multiplier": float,
}  # fmt: skip
"""What configurations call the scale. Two families mean opposite things by the first: what is shown decides."""
CAPS = ("final_logit_softcapping", "logits_soft_cap")
CLOSE = 1e-4
"""Of the largest: how far what is shown may be from what is computed here."""


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
def logits_of(network: Any) -> tuple[Logits, bool]:
    """And whether what its body gives goes into the output embedding as it is: decoders of BERT's kind have a layer
    between. Raises Refused for a family that makes something else of its numbers."""
    model = network.model
    weight_VD = model.get_output_embeddings().weight
    raw_V = torch.linspace(-2, 2, len(weight_VD), device=weight_VD.device)
    shown_V, bias_V, hands_on = _shown(network, raw_V)
    found = _configured(model.config, bias_V if bias_V.any() else None)
    for scale in dict.fromkeys((found.scale, 1 / found.scale, 1.0)):
        made = Logits(scale, found.softcap, found.bias_V)
        if made.bias_V is not None and (scale != 1 or made.softcap is not None):
            continue  # a head adds its bias before it scales
        if float((made.of(raw_V) - shown_V).abs().max()) <= CLOSE * max(1.0, float(shown_V.abs().max())):
            return made, hands_on
    why = "it changes the numbers of its output embedding in a way that is not known here"
    raise Refused(f"the words of a {model.config.model_type}", why, "choose another base, or an objective with a head")


def _configured(config: Any, bias_V: Tensor | None) -> Logits:
    text, scale = config.get_text_config(), 1.0
    for name, turn in SCALES.items():
        if value := getattr(text, name, None) or getattr(config, name, None):
            scale *= turn(value)
    return Logits(scale, next((cap for name in CAPS if (cap := getattr(text, name, None))), None), bias_V)


def _shown(network: Any, raw_V: Tensor) -> tuple[Tensor, Tensor, bool]:
    """[V] what comes out where the output embedding gives these numbers, [V] where it gives 0, and whether the body's
    states go into it: of two tokens that see nothing of each other, by one pass of the library's whole model."""
    head, taken, bodies = network.model.get_output_embeddings(), list[Tensor](), list[Any]()

    def give(states_12D: Tensor) -> Tensor:
        taken.append(states_12D)
        return torch.stack([raw_V, torch.zeros_like(raw_V)])[None]

    tokens_12 = torch.zeros(1, 2, dtype=torch.long, device=device())
    more: dict[str, Any] = {"decoder_input_ids": tokens_12} if network.ending.reads == "source" else {}
    more |= {"use_cache": False} if network.causal else {}
    heard = network.body.register_forward_hook(lambda module, given, out: bodies.append(out))
    vars(head)["forward"] = give
    try:
        with network.computing(), attention.computing([Segment(0, 1, -1), Segment(1, 2, -1)]):
            said_2V: Tensor = network.model(input_ids=tokens_12, **more).logits[0].float()
    finally:
        del vars(head)["forward"]
        heard.remove()
    return said_2V[0], said_2V[1], network.ending.reads != "past" or _same(bodies, taken[0], network.dtype)


def _same(bodies: list[Any], states: Tensor, dtype: torch.dtype) -> bool:
    """Whether the body gave these states."""
    own = bodies[-1].last_hidden_state if bodies else None
    if own is None or own.shape != states.shape:
        return False
    return float((own - states).abs().max()) <= ROUNDED[dtype] * float(own.abs().max())
