"""What a frozen trunk kept in memory saves: steps of the last layers' tuning, first and later epochs, on and off.

    python benchmarks/trunk.py --layers 2 --rows 64 --batch 8 --epochs 3

Rows are those of benchmarks/sft.py's first workload. Both engines take the same steps in turns, in one process; the
first epoch computes the trunk of every row, the later ones do not. One line of JSON, times in seconds.
"""

import argparse
import json
import os
import platform
import time
from importlib.metadata import version
from statistics import median
from typing import Any

import workload


def engines(given: argparse.Namespace) -> tuple[dict[str, Any], list[Any]]:
    """An engine that keeps the trunk and one that does not, and the rows they learn."""
    from affina.core.kinds import optimizers, schedules, tunings
    from affina.core.recipe import Compute
    from affina.data.rows import Renderer
    from affina.engine.source import find
    from affina.engine.torch import frozen
    from affina.engine.torch.load import load
    from affina.engine.torch.settle import settled_on
    from affina.engine.torch.step import Course, TorchEngine

    folder = find(given.base).folder
    rows = workload.tokenised(workload.turns(given.data)[: given.rows], folder)
    made = {}
    for where in ("off", "memory"):
        tuning = tunings.build({"name": "last_layers", "layers": given.layers})
        course = Course(tuning, optimizers.build("adamw"), schedules.build("constant"), 1e-4, 10**6, seed=0)
        engine = TorchEngine(load(folder, settled_on(Compute())), Renderer.open(folder), course)
        if frozen.settled(engine.network, where, rows, repeats=True) != "off":
            frozen.keep(engine.network, where, rows, key="benchmark", tell=print)
        made[where] = engine
    return made, rows


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Median seconds of a step, by epoch, with the trunk kept and not; the last losses."""
    import numpy as np

    from affina.core.kinds import objectives

    made, rows = engines(given)
    objective = objectives.build("cross_entropy")
    taken: dict[str, list[list[float]]] = {where: [] for where in made}
    losses = {}
    for epoch in range(given.epochs):
        order = np.random.default_rng(epoch).permutation(len(rows))
        for seconds in taken.values():
            seconds.append([])
        for start in range(0, len(rows), given.batch):
            for where, engine in made.items():
                batch = engine.layout([rows[place] for place in order[start : start + given.batch]])
                began = time.perf_counter()
                losses[where] = round(engine.learn([batch], objective, engine.step + 1)["loss"], 4)
                taken[where][-1].append(time.perf_counter() - began)
    steps = {where: [round(median(each), 3) for each in seconds] for where, seconds in taken.items()}
    later = {where: [each for epoch in seconds[1:] for each in epoch] for where, seconds in taken.items()}
    pairs = [off / kept for off, kept in zip(later["off"], later["memory"], strict=True)]
    store = vars(made["memory"].network.trunk.store)
    return {
        "step_s": steps,
        "first_epoch_s": {where: round(sum(seconds[0]), 2) for where, seconds in taken.items()},
        "ratio": round(median(pairs), 2),
        "ratio_spread": [round(min(pairs), 2), round(max(pairs), 2)],
        "losses": losses,
        "kept_mb": round(store["bytes"] / 1e6, 1),
        "tokens": sum(len(row.tokens) for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--data", default="gsm")
    parser.add_argument("--layers", type=int, default=2, help="of the last blocks, that learn")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    line = {
        "versions": {name: version(name) for name in ("affina", "torch", "transformers")},
        "python": platform.python_version(),
        "settings": vars(given),
        "load_before": round(os.getloadavg()[0], 2),
        **measured(given),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
