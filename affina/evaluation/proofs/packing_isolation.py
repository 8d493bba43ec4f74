"""Rows that are computed together do not see one another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from affina.core.kinds import Batch, Bench, Finding, Forward, Proof, Segment
from affina.evaluation.probe import probe

if TYPE_CHECKING:
    import torch

CLOSE = 1e-3  # nats: float32 sums in another order


class PackingIsolation(Proof):
    """Changing one row's own tokens changes no other row's numbers by a bit; alone, each row gives the same numbers."""

    def examine(self, bench: Bench) -> Finding:
        import torch

        rows, said = probe(bench, 4)
        if len(rows) < 2:
            return Finding(True, "one row: nothing to leak into")
        together = bench.engine.layout(rows)
        with torch.no_grad():
            before = bench.engine.forward(together)
            after = bench.engine.forward(_perturbed(together))
            with bench.engine.exactly():
                packed = bench.engine.forward(together)
                alone = [bench.engine.forward(bench.engine.layout([row])) for row in rows]
        others = _of(before, 0, others=True), _of(after, 0, others=True)
        if not torch.equal(*others):
            return Finding(False, f"{said}: changing {rows[0].id} changed its neighbours; {REMEDY}")
        if _sees_its_own(together) and torch.equal(_of(before, 0), _of(after, 0)):
            return Finding(False, f"{said}: changing {rows[0].id} did not change its own numbers; {REMEDY}")
        apart = max(_distance(_of(packed, r), _of(alone[r], 0)) for r in range(len(rows)))
        if not apart <= CLOSE:
            return Finding(False, f"{said}: packed and alone differ by {apart:.2g}; {REMEDY}")
        return Finding(True, f"{said}: neighbours unchanged to the bit; packed and alone differ by {apart:.1e}")


REMEDY = "this base's attention mixes packed rows: choose another base and report this one"


def _perturbed(batch: Batch) -> Batch:
    """Other tokens wherever only row 0 has them: its last segment, which no other row continues."""
    own, tokens = _own(batch), batch.tokens_T.copy()
    tokens[own.start : own.stop] = (tokens[own.start : own.stop] + 1) % (tokens.max() + 1)  # ids that surely exist
    return replace(batch, tokens_T=tokens)


def _own(batch: Batch) -> Segment:
    """Row 0's last segment."""
    return next(segment for segment in batch.segments if segment.start <= batch.ends_R[0] < segment.stop)


def _sees_its_own(batch: Batch) -> bool:
    """Whether any of row 0's numbers depends on its last segment: not where that is one token, itself the target."""
    own, sources = _own(batch), batch.sources_S[batch.owners_S == 0]
    if batch.rows[0].orders is not None:  # a hidden token changes nothing but what is said after it
        return False
    return not len(sources) or bool(np.any(sources >= own.start))


def _of(forward: Forward, row: int, others: bool = False) -> torch.Tensor:
    """What a row's words or places are given, or what its head gives it; or everybody else's."""
    import torch

    places = forward.logprobs_S if forward.logprobs_S is not None else forward.scores_SL
    if places is not None:
        return places[(forward.owners_S == row) != others]
    whole = forward.scores_RL if forward.scores_RL is not None else forward.vectors_RD
    assert whole is not None, "a forward pass gives something"
    return whole[(torch.arange(len(whole), device=whole.device) == row) != others]


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max()) if a.numel() else 0.0
