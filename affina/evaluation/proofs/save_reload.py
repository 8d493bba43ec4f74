"""What is saved is what was trained: reloaded, the model gives the same numbers."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from affina.core.kinds import Bench, Engine, Finding, Floats, Proof, Row
from affina.evaluation.probe import probe

NUDGE = 0.01


class SaveReload(Proof):
    """Trainable tensors nudged, saved, overwritten, loaded: the same log-probabilities to the bit; then all undone."""

    def examine(self, bench: Bench) -> Finding:
        rows, said = probe(bench, 2)
        engine = bench.engine
        with engine.undone(), TemporaryDirectory() as folder:
            _shift(engine, NUDGE, bench.seed)
            before = _numbers(bench, rows)
            engine.save(Path(folder) / "checkpoint")
            _shift(engine, NUDGE, bench.seed + 1)
            other = _numbers(bench, rows)
            engine.load(Path(folder) / "checkpoint")
            after = _numbers(bench, rows)
        if np.array_equal(before, other):
            return Finding(False, f"{said}: moving every trainable tensor changes nothing; report the tuning")
        if not np.array_equal(before, after):
            apart = np.abs(before - after).max()
            return Finding(False, f"{said}: reloaded, the model answers differently (by {apart:.2g}); check the disk")
        return Finding(True, f"{said}: {len(before)} numbers are the same to the bit after saving and reloading")


def _shift(engine: Engine, size: float, seed: int) -> None:
    import torch

    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in engine.trainable().values():
            parameter.add_((torch.randn(parameter.shape, generator=noise) * size).to(parameter.device))


def _numbers(bench: Bench, rows: list[Row]) -> Floats:
    scored = bench.engine.score(rows)
    return np.concatenate([each.numbers for each in scored])
