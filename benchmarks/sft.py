"""Supervised fine-tuning speed: the product's own `train` on chat rows, one JSON line with rate, memory and losses.

    python benchmarks/sft.py --data gsm --steps 8 --warm 2 --batch 8 --rank 16 --lr 2e-4
    python benchmarks/sft.py --set train.compute.kernels=off --seed 1 --validation-loss
    python benchmarks/sft.py --table --repeat 3 --out table.json

Rates count the tokens of whole samples from the end of one optimizer step to the end of the next, batches, logging and
the optimizer inside, warm-up steps left out. A GB is 10⁶ kB of the process tree's resident memory, the whole run long.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import workload
from machine import Noise, TreeMemory, age_s, minor_faults, own_peak_gb

import affina
from affina.cli.runtime import prepare
from affina.cli.settings import changes
from affina.core.kinds import Row
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.engine.source import find

PACKAGES = ("affina", "torch", "transformers", "tokenizers")
LOOKED = 10_000  # rows whose lengths say how long a row may be
VALIDATING = 128  # held-out rows whose mean loss `--validation-loss` reports


class Clock:
    """Hears of every finished step, and notes the time and the pages given so far."""

    def __init__(self) -> None:
        self.ends_s: list[float] = []
        self.faults: list[int] = []

    def line(self, text: str) -> None:
        return

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        if what == "training":
            self.ends_s.append(time.perf_counter())
            self.faults.append(minor_faults())

    def steps_s(self, first_s: float) -> list[float]:
        """Seconds of each step: of the first as the run logged it, of the others from end to end."""
        return [first_s, *(end - begin for begin, end in pairwise(self.ends_s))]

    def faults_per_step(self) -> list[int]:
        """Minor page faults of every step but the first."""
        return [end - begin for begin, end in pairwise(self.faults)]


def line(given: argparse.Namespace, run: Run, clock: Clock) -> dict[str, Any]:
    """What the run shows: rates over the counted steps, losses, times."""
    events, warm = run.events("learn"), given.warm
    if len(clock.ends_s) != len(events):
        raise SystemExit(f"{len(clock.ends_s)} steps were heard of and {len(events)} logged: nothing can be timed")
    seconds = clock.steps_s(events[0]["seconds"])
    tokens = [event["tokens"] for event in events]
    rates = [count / time_s for count, time_s in zip(tokens[warm:], seconds[warm:], strict=True)]
    lock = run.read("lock.json")
    compute = {"compute": lock["machine"]["compute"]}
    return {
        "tool": "affina",
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "workload": given.data,
        "settings": workload.settings(given) | compute,
        "real_tokens_per_s": round(sum(tokens[warm:]) / sum(seconds[warm:]), 1),
        "median_step_tokens_per_s": round(median(rates), 1),
        "samples_per_s": round(given.batch * len(rates) / sum(seconds[warm:]), 3),
        "tokens": sum(tokens),
        "supervised": round(sum(event["targets"] for event in events[warm:]) / sum(tokens[warm:]), 3),
        "step_s": [round(each, 2) for each in seconds],
        "minor_faults": clock.faults_per_step(),
        "losses": [round(event["loss"], 4) for event in events],
        "proofs_s": round(sum(finding["seconds"] for finding in run.read("proofs.json")["findings"]), 1),
        "validation_loss": round(run.events("validate")[-1]["loss"], 5),
    }


def in_float32(run: Run, root: Path, clock: Clock, rows: Sequence[Row]) -> float:
    """Nats per supervised token of the trained model computed in float32, as it is released: what a float32 reference
    is to be held beside."""
    from affina.core.compute import Computing
    from affina.engine.torch.tuned import reopen  # torch comes after what `prepare` settles
    from affina.evaluation.open import open_model

    opened = open_model(run.name, root, offline=True, say=clock)
    assert opened.trained is not None, "a run that has ended is open with what it trained"
    ending = opened.objective.ending(0)
    model = reopen(opened.base, opened.model.renderer, Computing("float32"), ending, opened.trained)  # type: ignore[arg-type]
    return -sum(float(each.logprobs_S.sum()) for each in model.score(rows)) / sum(row.targets for row in rows)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """One run, from rows to report, in a folder that goes away."""
    noise, clock, memory = Noise(), Clock(), TreeMemory(os.getpid())
    memory.start()
    with tempfile.TemporaryDirectory() as folder:
        training, held = workload.chosen(given, find(given.base).folder)
        file = Path(folder) / "rows.jsonl"
        workload.write(file, training, held)
        workload.offer_held_out(Path(folder))
        looked = workload.tokenised([*training[:LOOKED], *held], find(given.base).folder)
        plain = workload.recipe(given, file, len(training), max(len(row.tokens) for row in looked))
        recipe = Recipe.build(plain).change(changes(given), where="--set")
        began, age = time.perf_counter(), age_s()
        run = affina.train(recipe, root=Path(folder) / "runs", say=clock)
        wall, peak = time.perf_counter() - began, max(memory.end(), own_peak_gb())
        found = line(given, run, clock)
        if given.validation_loss:
            rows = workload.tokenised(held[: -workload.TEST], find(given.base).folder)
            found["validation_loss_float32"] = round(in_float32(run, Path(folder) / "runs", clock, rows), 5)
        before_s = clock.ends_s[0] - run.events("learn")[0]["seconds"] - began
    return {
        **found,
        "peak_rss_gb": round(peak, 2),
        "prep_s": round(before_s - found["proofs_s"], 2),
        "start_s": round(age + before_s, 1),
        "whole_run_s": round(wall, 1),
        **noise.seen(),
    }


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = workload.arguments(__doc__ or "")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", help="change a setting of the recipe")
    parser.add_argument(
        "--validation-loss",
        action="store_true",
        help=f"hold {VALIDATING} rows out and report on them, as it is computed and in float32",
    )
    parser.add_argument("--table", action="store_true", help="every feature added in turn, each run a process")
    parser.add_argument("--repeat", type=int, default=3, help="interleaved repetitions of the table")
    parser.add_argument("--out", help="where the table's JSON goes")
    given = parser.parse_args(argv)
    if given.validation_loss:
        given.held_out = VALIDATING + workload.TEST
    return given


def main() -> None:
    given = arguments()
    if given.table:
        from table import additive

        additive(given)
        return
    prepare()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])  # affina takes its threads from here
    print(json.dumps(measure(given)), flush=True)


if __name__ == "__main__":
    main()
