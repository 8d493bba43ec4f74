"""Growth: rate, memory and preparation of the same steps drawn from 10² to 10⁵ rows, each run a process.

    python benchmarks/growth.py --sizes 100 1000 10000 100000 --repeat 3 --out growth.json

Prints a table of medians; the sizes run in turn, so that a slow minute of the machine falls on all of them.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from machine import measured

COLUMNS = ("real_tokens_per_s", "tree_gb", "prep_s")


def command(rows: int, rest: Sequence[str]) -> list[str]:
    """One run over so many rows."""
    return [sys.executable, str(Path(__file__).with_name("sft.py")), f"--rows={rows}", *rest]


def markdown(found: dict[int, list[dict[str, Any]]]) -> str:
    """Medians over the repetitions, and the rate beside that of the first size."""
    lines = ["| rows | tokens/s | × first | GB | preparing, s |", "|---|---|---|---|---|"]
    first: float | None = None
    for rows, runs in found.items():
        rate, gigabytes, seconds = (median(run[column] for run in runs) for column in COLUMNS)
        first = rate if first is None else first
        lines.append(f"| {rows:,} | {rate:.0f} | {rate / first:.2f} | {gigabytes:.2f} | {seconds:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", help="where the JSON goes")
    given, rest = parser.parse_known_args()
    found: dict[int, list[dict[str, Any]]] = {size: [] for size in given.sizes}
    for _ in range(given.repeat):
        for size, runs in found.items():
            runs.append(measured(command(size, rest), os.environ))
    print(markdown(found))
    if given.out:
        lines = [{"rows": size, "runs": runs} for size, runs in found.items()]
        Path(given.out).write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
