"""A step computed in micro-batches is the step of the big batch."""

from affina.core.kinds import Bench, Finding, Proof
from affina.evaluation.probe import probe

CLOSE = 2e-3  # of a tensor's largest gradient; float32 alone leaves 3e-4 on a 30-layer base, a mean of means 1e-1


class Accumulation(Proof):
    """The gradient of eight rows at once (1×8) equals that of four micro-batches of two (4×2), tensor by tensor."""

    def examine(self, bench: Bench) -> Finding:
        rows, said = probe(bench, 8)
        if len(rows) < 2:
            return Finding(True, "one row: nothing to accumulate")
        if bench.objective.couples:
            return Finding(True, "the objective couples rows: they stay in one micro-batch")
        engine, pairs = bench.engine, [rows[place : place + 2] for place in range(0, len(rows), 2)]
        with engine.exactly():
            whole = engine.gradients([engine.layout(rows)], bench.objective)
            parts = engine.gradients([engine.layout(pair) for pair in pairs], bench.objective)
        name, worst = "", 0.0
        for each, gradient in whole.items():
            largest = float(gradient.abs().max())
            apart = float((gradient - parts[each]).abs().max()) / largest if largest else 0.0
            name, worst = max((name, worst), (each, apart), key=lambda pair: pair[1])
        told = f"{said}: 1×{len(rows)} and {len(pairs)}×2 differ by at most {worst:.1e} of a tensor's largest gradient"
        if worst > CLOSE:
            return Finding(False, f"{told} ({name}); set train.accumulate: 1 and report the objective")
        return Finding(True, told)
