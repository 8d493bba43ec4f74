"""A step computed in micro-batches is the step of the big batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from affina.core.kinds import Bench, Finding, Proof, Row
from affina.data.compose import units
from affina.evaluation.probe import probe

if TYPE_CHECKING:
    import torch

CLOSE = 2e-3  # of a tensor's largest gradient; float32 alone leaves 3e-4 on a 30-layer base, a mean of means 1e-1

SMALL = (
    1e-3  # of the largest gradient of all: below it a tensor is judged at this scale, for some (the bias of keys) have
)
# gradient 0 in theory, and of their rounding noise no digit agrees

UNLIKE = 1.5  # times the targets of the lightest micro-batch


class Accumulation(Proof):
    """The gradient of eight rows at once (1×8) equals that of four micro-batches of two (4×2), tensor by tensor.

    Where all rows weigh the same the micro-batches are uneven: 1+2+2+2+1."""

    def examine(self, bench: Bench) -> Finding:
        rows, said = probe(bench, 8)
        if len(units(rows)) < 2:
            return Finding(True, "one row: nothing to accumulate")
        if bench.objective.couples:
            return Finding(True, "the objective couples rows: they stay in one micro-batch")
        engine, split = bench.engine, _split(rows)
        with engine.exactly():
            whole = engine.gradients([engine.layout(rows)], bench.objective)
            parts = engine.gradients([engine.layout(part) for part in split], bench.objective)
        least = SMALL * max(float(gradient.abs().max()) for gradient in whole.values())
        apart = {name: _apart(gradient, parts.get(name), least) for name, gradient in whole.items()}
        name, worst = max(apart.items(), key=lambda pair: pair[1])
        sizes = "+".join(str(len(part)) for part in split) if len(split[0]) == 1 else f"{len(split)}×2"
        told = f"{said}: 1×{len(rows)} and {sizes} differ by at most {worst:.1e} of a tensor's largest gradient"
        if worst > CLOSE:
            return Finding(False, f"{told} ({name}); set train.accumulate: 1 and report the objective")
        return Finding(True, told)


def _split(rows: list[Row]) -> list[list[Row]]:
    """Pairs; where these weigh about the same, and a mean of means would go unseen, a single row comes first."""
    held = units(rows)
    pairs = _joined(held[place : place + 2] for place in range(0, len(held), 2))
    weights = [sum(max(1, row.targets) for row in pair) for pair in pairs]
    if len(held) == 2 or max(weights) >= UNLIKE * min(weights):
        return pairs
    return _joined([held[:1], *(held[place : place + 2] for place in range(1, len(held), 2))])


def _joined(parts: Iterable[Sequence[Sequence[Row]]]) -> list[list[Row]]:
    return [[row for unit in part for row in unit] for part in parts]


def _apart(whole: torch.Tensor, parts: torch.Tensor | None, least: float) -> float:
    """The largest difference as a share of the largest gradient; infinite for a tensor not reached, or not a number."""
    largest = max(least, float(whole.abs().max()))
    found = math.inf if parts is None else float((whole - parts).abs().max())
    share = found / largest if largest else found
    return share if math.isfinite(share) else math.inf
