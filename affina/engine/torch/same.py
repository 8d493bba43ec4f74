"""Whether a network as it is computed here gives the library's own numbers: asked on a few tokens when it is loaded.

What a class declares does not tell: a window may stand in a mask that packed rows never get, positions may begin
elsewhere than at 0.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from affina.core.kinds import Row

CLOSE = {torch.bfloat16: 6e-2, torch.float32: 1e-4, torch.float64: 1e-4}
"""Relative norms: how far the same numbers in another order are apart by rounding."""
LOOSER = 4.0
"""… and where bf16 rounds more than that, times as far as two of the library's own attentions are apart."""


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
    if math.isnan(far):  # what is no number at all is told from the library's where that is one
        return not bool(expected.isfinite().all())
    if far <= CLOSE[dtype]:
        return True
    return other is not None and not far > LOOSER * _apart(other(), expected)


def _apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())
