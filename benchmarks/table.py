"""The additive table: everything off, then one feature after the other switched on, interleaved, each run a process."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from machine import measured

OFF = {
    "regime.share": "off",
    "regime.window": "0",
    "train.compute.precision": "float32",
    "train.compute.kernels": "off",
    "train.compute.compile": "off",
    "train.compute.checkpoint": "off",
    "train.compute.trunk": "off",
}
"""The first row: whole rows in one flat batch, float32, nothing fused. No padding and the head at targets only have no
switch: they are how a batch is made."""
FEATURES = (
    ("bf16 weights and products", {"train.compute.precision": "bf16"}),
    ("shared prefixes once", {"regime.share": "on"}),
    ("batches composed to share", {"regime.window": "64"}),
    ("fused kernels", {"train.compute.kernels": "on"}),
    ("compiled blocks", {"train.compute.compile": "on"}),
    ("checkpointing (memory)", {"train.compute.checkpoint": "on"}),
)
"""(name, the settings that switch it on), in the order they are added. A frozen trunk has a benchmark of its own: with
adapters on every layer nothing is frozen below them."""


def rows() -> list[tuple[str, dict[str, str]]]:
    """(name, every setting) of each row of the table: a row has all that the rows above it have."""
    found = [("everything off", dict(OFF))]
    for name, on in FEATURES:
        found.append((f"+ {name}", {**found[-1][1], **on}))
    return found


def command(given: argparse.Namespace, settings: dict[str, str]) -> list[str]:
    """The same benchmark with these settings, `--set` on the command line winning."""
    own = ("data", "base", "steps", "warm", "batch", "rank", "lr", "threads", "group", "rows", "seed", "held_out")
    shared = [f"--{name.replace('_', '-')}={getattr(given, name)}" for name in own]
    sets = [f"--set={key}={value}" for key, value in settings.items()] + [f"--set={each}" for each in given.set]
    return [sys.executable, str(Path(__file__).with_name("sft.py")), *shared, *sets]


def markdown(names: Sequence[str], found: dict[str, list[dict[str, Any]]]) -> str:
    """Medians over the repetitions; beside the rate its spread, and the rate over the first row's."""
    lines = [
        "| row | tokens/s | spread | × first | GB | final loss | validation loss |",
        "|---|---|---|---|---|---|---|",
    ]
    first = median(line["real_tokens_per_s"] for line in found[names[0]])
    for name in names:
        rates = [line["real_tokens_per_s"] for line in found[name]]
        peak, last, held = (
            median(values)
            for values in zip(
                *((line["tree_gb"], line["losses"][-1], line["validation_loss"]) for line in found[name]), strict=True
            )
        )
        spread = f"{min(rates):.0f}–{max(rates):.0f}"
        cells = [name, f"{median(rates):.0f}", spread, f"{median(rates) / first:.2f}", f"{peak:.2f}"]
        lines.append(f"| {' | '.join(cells)} | {last:.4f} | {held:.4f} |")
    return "\n".join(lines)


def additive(given: argparse.Namespace) -> None:
    """Runs the table, prints it as Markdown, and keeps every run's line where `--out` says."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name, _ in rows()}
    for repetition in range(given.repeat):
        for name, settings in rows():
            line = measured(command(given, settings), os.environ)
            found[name].append(line)
            rate = line["real_tokens_per_s"]
            print(f"# {repetition + 1}/{given.repeat} {name}: {rate:.0f} tokens/s", file=sys.stderr, flush=True)
    if given.out:
        Path(given.out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(markdown([name for name, _ in rows()], found))
