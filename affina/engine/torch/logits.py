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
    (shown_V, states), (bias_V, _) = (_shown(network, each) for each in (raw_V, torch.zeros_like(raw_V)))
    found = _configured(model.config, bias_V if bias_V.any() else None)
    for scale in dict.fromkeys((found.scale, 1 / found.scale, 1.0)):
        made = Logits(scale, found.softcap, found.bias_V)
        if float((made.of(raw_V) - shown_V).abs().max()) <= CLOSE * max(1.0, float(shown_V.abs().max())):
            return made, network.ending.reads != "past" or _hands_on(network, states)
    why = "it changes the numbers of its output embedding in a way that is not known here"
    raise Refused(f"the words of a {model.config.model_type}", why, "choose another base, or an objective with a head")


def _hands_on(network: Any, states_11D: Tensor) -> bool:
    """Whether these states of one token are what the body gives."""
    own_11D = _one_token(network, network.body).last_hidden_state
    close = ROUNDED[network.dtype] * float(own_11D.abs().max())
    return own_11D.shape == states_11D.shape and float((own_11D - states_11D).abs().max()) <= close


def _one_token(network: Any, asked: Any) -> Any:
    """What the library's model or its body gives for one token, and one that is decoded."""
    token_11 = torch.zeros(1, 1, dtype=torch.long, device=device())
    more: dict[str, Any] = {"decoder_input_ids": token_11} if network.ending.reads == "source" else {}
    more |= {"use_cache": False} if network.causal else {}
    with network.computing(), attention.computing([Segment(0, 1, -1)]):
        return asked(input_ids=token_11, **more)


def _configured(config: Any, bias_V: Tensor | None) -> Logits:
    text, scale = config.get_text_config(), 1.0
    for name, turn in SCALES.items():
        if value := getattr(text, name, None) or getattr(config, name, None):
            scale *= turn(value)
    return Logits(scale, next((cap for name in CAPS if (cap := getattr(text, name, None))), None), bias_V)


def _shown(network: Any, raw_V: Tensor) -> tuple[Tensor, Tensor]:
    """[V] what comes out at one place where the output embedding gives these numbers, and what went into it."""
    head, taken = network.model.get_output_embeddings(), list[Tensor]()

    def give(states: Tensor) -> Tensor:
        taken.append(states)
        return raw_V.expand(*states.shape[:-1], -1)

    vars(head)["forward"] = give
    try:
        said: Tensor = _one_token(network, network.model).logits
    finally:
        del vars(head)["forward"]
    return said[0, -1].float(), taken[0]
