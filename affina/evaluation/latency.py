"""How long a model takes for one item asked alone, as a person who waits for it has it: measured, so never twice the
same."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from affina.core.example import Example
from affina.core.kinds import Asked, Model
from affina.evaluation.answer import asker

MOST_ITEMS = 20
MOST_S = 3.0
"""No further item is asked after so many seconds."""


def latency(model: Model, examples: Sequence[Example], asked: Asked) -> dict[str, Any]:
    """{"latency": {"items", "p50_s", "p95_s"}} of items asked one after the other, spread over all; the first is asked
    once before, since what is only done once does not count."""
    asking = asker(examples)
    chosen = [examples[place] for place in np.linspace(0, len(examples) - 1, min(MOST_ITEMS, len(examples)), dtype=int)]
    taken: list[float] = []
    begun = time.perf_counter()
    alone = Asked(asked.columns, asked.how)
    asking.answers(model, chosen[:1], alone)
    for each in chosen:
        if taken and time.perf_counter() - begun > MOST_S:
            break
        start = time.perf_counter()
        asking.answers(model, [each], alone)
        taken.append(time.perf_counter() - start)
    p50, p95 = np.quantile(taken, [0.5, 0.95])
    return {"latency": {"items": len(taken), "p50_s": float(p50), "p95_s": float(p95)}}
