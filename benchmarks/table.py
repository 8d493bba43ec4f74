"""The additive table: everything off, then one feature after the other switched on, interleaved, each run a process.

Below it pairs of features that other work shows: what lies below the lowest weight that learns, and generation.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from compare import environments
from machine import measured

OFF = {
    "regime.share": "off",
    "regime.window": "0",
    "train.compute.packing": "off",
    "train.compute.head": "everywhere",
    "train.compute.ahead": "0",
    "train.compute.precision": "float32",
    "train.compute.kernels": "off",
    "train.compute.compile": "off",
    "train.compute.checkpoint": "off",
    "train.compute.trunk": "off",
}
"""The first row: rows padded to the longest of their group, float32, all logits, nothing fused, nothing made ahead."""
PLAIN = {"AFFINA_ALLOCATOR": "plain"}
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Line:
    """A row of the table: the script that measures it with its arguments, its settings and its environment."""

    name: str
    sets: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    epochs: bool = False
    """Whether it meets the same rows three times."""
    script: str = "sft.py"
    side: str = ""
    """Which side of a script that measures two; empty where it measures one."""


FEATURES: tuple[tuple[str, dict[str, str]], ...] = (
    ("head where there is a target", {"train.compute.head": "targets"}),
    ("bf16 weights and products", {"train.compute.precision": "bf16"}),
    ("forest batches: no padding", {"train.compute.packing": "auto"}),
    ("shared prefixes once", {"regime.share": "on"}),
    ("batches composed to share", {"regime.window": "64"}),
    ("fused kernels", {"train.compute.kernels": "on"}),
    ("allocator settings", {}),
    ("batches made ahead", {"train.compute.ahead": "4"}),
    ("compiled blocks", {"train.compute.compile": "on"}),
    ("checkpointing (memory)", {"train.compute.checkpoint": "on"}),
)
"""(name, the settings that switch it on), in the order they are added; the allocator's switch is the environment."""
EPOCH = 8  # steps of one, where frozen blocks are kept; what is counted are the second and the third
LAST = {"tuning": "{name: last_layers, layers: 2}"}
PAIRS = (
    (
        Line("last 2 blocks learn: all computed at each step", {**LAST, "train.compute.trunk": "off"}, epochs=True),
        Line("+ frozen trunk kept", {**LAST, "train.compute.trunk": "memory"}, epochs=True),
    ),
    (
        Line("generation, batch 8: transformers' own", {}, script="generate.py", side="transformers"),
        Line("+ continuous batching, shared prompts once", {}, script="generate.py", side="affina"),
    ),
)


def rows() -> list[Line]:
    """The rows of the table proper: each has all that the rows above it have."""
    found = [Line("everything off", dict(OFF), PLAIN)]
    for name, on in FEATURES:
        above = found[-1]
        found.append(Line(f"+ {name}", {**above.sets, **on}, above.environment if on else {}))
    return found


def command(given: argparse.Namespace, line: Line) -> list[str]:
    """The benchmark of a line; `--set` on the command line wins, and of two equal arguments the later."""
    if line.script != "sft.py":
        told = [f"--{name}={getattr(given, name)}" for name in ("base", "batch", "threads")]
        return [sys.executable, str(HERE / line.script), "--work=gsm", "--pairs=1", *told]
    own = ("data", "base", "steps", "warm", "batch", "rank", "lr", "threads", "group", "rows", "seed", "held_out")
    shared = [f"--{name.replace('_', '-')}={getattr(given, name)}" for name in own]
    sets = [f"--set={key}={value}" for key, value in line.sets.items()] + [f"--set={each}" for each in given.set]
    more = [f"--rows={EPOCH * given.batch}", f"--warm={EPOCH}", f"--steps={2 * EPOCH}"] if line.epochs else []
    return [sys.executable, str(HERE / line.script), *shared, *more, *sets]


def markdown(groups: Sequence[Sequence[str]], found: dict[str, list[dict[str, Any]]]) -> str:
    """Medians over the repetitions; beside the rate its spread, and the rate over that of its group's first row."""
    lines = [
        "| row | tokens/s | spread | × first | GB | final loss | validation loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for names in groups:
        first = median(line["real_tokens_per_s"] for line in found[names[0]])
        lines += [_cells(name, found[name], first) for name in names]
    return "\n".join(lines)


def _cells(name: str, measured_lines: Sequence[dict[str, Any]], first: float) -> str:
    rates = [line["real_tokens_per_s"] for line in measured_lines]
    spread = f"{min(rates):.0f}–{max(rates):.0f}"
    cells = [name, f"{median(rates):.0f}", spread, f"{median(rates) / first:.2f}"]
    if any("losses" not in line for line in measured_lines):  # of generation, whose two sides share a process
        return f"| {' | '.join(cells)} | | | |"
    peak, last, held = (
        median(values)
        for values in zip(
            *((line["tree_gb"], line["losses"][-1], line["validation_loss"]) for line in measured_lines), strict=True
        )
    )
    return f"| {' | '.join(cells)} | {peak:.2f} | {last:.4f} | {held:.4f} |"


def additive(given: argparse.Namespace) -> None:
    """Runs the table, prints it as Markdown, and keeps every run's line where `--out` says."""
    groups = (rows(), *PAIRS)
    found: dict[str, list[dict[str, Any]]] = {line.name: [] for group in groups for line in group}
    for repetition in range(given.repeat):
        both: dict[str, dict[str, Any]] = {}
        for line in (each for group in groups for each in group):
            made = both.get(line.script) if line.side else None
            if made is None:
                own, _ = environments()
                plain = {name: value for name, value in own.items() if name not in PLAIN}
                made = both[line.script] = measured(command(given, line), plain | line.environment)
            kept = {**made, "real_tokens_per_s": made["median"][line.side]} if line.side else made
            found[line.name].append(kept)
            rate = kept["real_tokens_per_s"]
            print(f"# {repetition + 1}/{given.repeat} {line.name}: {rate:.0f} tokens/s", file=sys.stderr, flush=True)
    if given.out:
        Path(given.out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(markdown([[line.name for line in group] for group in groups], found))
