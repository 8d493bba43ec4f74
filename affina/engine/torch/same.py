"""Whether a network as it is computed here gives the library's own numbers: asked on a few tokens when it is loaded.

What a class declares does not tell: a window may stand in a mask that packed rows never get, positions may begin
elsewhere than at 0, logits may be scaled.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from affina.core.kinds import Row

SCALES = {"logits_scaling": (-1, 1), "logit_scale": (1,), "lm_head_multiplier": (1,)}
"""Settings that scale logits, and the power each may be taken to: Granite divides, HyperCLOVA X multiplies."""
CAPS = ("final_logit_softcapping", "logits_soft_cap")
CLOSE = {torch.bfloat16: 6e-2, torch.float32: 1e-4, torch.float64: 1e-4}
"""Relative norms: how far the same numbers in another order are apart by rounding."""
LOOSER = 4.0
"""… and where bf16 rounds more than that, times as far as two of the library's own attentions are apart."""

Shape = tuple[float, float | None]
"""What logits are multiplied by, and then soft-capped at."""


def rows(pad: int | None) -> list[Row]:
    """Two rows that share a beginning; without the padding token, which some families do not count."""
    ids = np.array([each for each in range(8) if each != pad], np.int32)
    head = np.tile(ids, 2)[:9]
    tokens = [np.append(head, ids[[1, 2, 0]]), np.append(head, ids[[3, 6]])]
    return [Row(f"small:{number}", each, np.zeros(len(each), np.float32)) for number, each in enumerate(tokens)]


def windows_told(config: Any, heard: Iterable[Mapping[str, Any]]) -> bool:
    """Whether every layer that sees only what is near says so to its attention, and no other layer does."""
    text, told = config.get_text_config(), [each.get("sliding_window") is not None for each in heard]
    if kinds := getattr(text, "layer_types", None):
        return told == [kind != "full_attention" for kind in kinds]
    near = getattr(text, "attention_chunk_size", None) or getattr(text, "sliding_window", None)
    return all(told) or not near or not getattr(text, "use_sliding_window", True)


def close(
    found: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype, other: Callable[[], torch.Tensor] | None = None
) -> bool:
    """Whether these are the same but for rounding in products of `dtype`; `other`: the library's in another way."""
    far = _apart(found, expected)
    if not far > CLOSE[dtype]:  # what is no number at all is not told from the library's
        return True
    return other is not None and not far > LOOSER * _apart(other(), expected)


def shapes(config: Any) -> list[Shape]:
    """What a family may do to its logits by its configuration, the likeliest first."""
    held = [config.get_text_config(), config]

    def given(name: str) -> float | None:
        return next((float(value) for part in held if (value := getattr(part, name, None))), None)

    scales = [value**power for name, powers in SCALES.items() if (value := given(name)) for power in powers]
    caps = [value for name in CAPS if (value := given(name))]
    return [(scale, cap) for cap in (*caps, None) for scale in (*scales, 1.0)]


def shape_of(config: Any, raw_SV: torch.Tensor, logits_SV: torch.Tensor, dtype: torch.dtype) -> Shape | None:
    """The shape that makes of the output embedding's products the library's logits; None where none does."""
    for scale, cap in shapes(config):
        found = raw_SV.float() * scale
        if close(found if cap is None else torch.tanh(found / cap) * cap, logits_SV, dtype):
            return scale, cap
    return None


def _apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())
