"""The gradient reaches every trainable tensor, and a step moves no frozen one."""

import hashlib
from typing import ClassVar

from affina.core.example import Pair
from affina.core.kinds import Batch, Bench, Engine, Finding, Forward, Loss, Objective, Proof
from affina.evaluation.probe import probe

NUDGE = 0.01  # standard deviation given to tensors that start at zero, which would hide what lies behind them


class GradientFlow(Proof):
    """Zero-initialised tensors nudged by seeded noise, then a gradient for all, then one step; undone to the bit."""

    def examine(self, bench: Bench) -> Finding:
        rows, said = probe(bench, 8)
        engine = bench.engine
        with engine.undone():
            _nudge(engine, bench.seed)
            with engine.exactly():
                found = engine.gradients([engine.layout(rows)], bench.objective)
            still = [name for name, gradient in found.items() if not gradient.any()]
            alike: list[str] = []
            if still and bench.objective.head == "margin":
                with engine.exactly():
                    both = engine.gradients([engine.layout(rows)], Both())
                alike = [name for name in still if name in both and both[name].any()]
                still = [name for name in still if name not in alike]
            before = _digests(engine)
            engine.learn([engine.layout(rows)], bench.objective, 1)
            moved = [name for name, digest in _digests(engine).items() if digest != before[name]]
        unreached = [name for name in engine.trainable() if name not in found]
        if still:
            return Finding(False, f"{said}: {_named(still)} got no gradient; train other layers (tuning.targets)")
        if moved:
            return Finding(False, f"{said}: a step moved the frozen {_named(moved)}; report the tuning")
        told = f"{said}: {len(found)} trainable tensors get a gradient, {len(before)} frozen ones did not move"
        if alike:
            told += f"; {_named(alike)} moves both answers' scores alike, so that its gradient is 0"
        return Finding(True, told + (f"; no row reaches {_named(unreached)}" if unreached else ""))


class Both(Objective):
    """The sum of both answers' scores: it moves with what their difference cancels, such as a last norm's bias."""

    consumes: ClassVar = (Pair,)
    head: ClassVar[str] = "margin"

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        assert forward.scores_RL is not None, "a margin is between scores"
        return Loss(forward.scores_RL.sum(), 1.0)


def _nudge(engine: Engine, seed: int) -> None:
    import torch

    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in engine.trainable().values():
            if not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=noise) * NUDGE)


def _digests(engine: Engine) -> dict[str, bytes]:
    import torch

    return {
        name: hashlib.blake2b(each.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data).digest()
        for name, each in engine.frozen().items()
    }


def _named(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
