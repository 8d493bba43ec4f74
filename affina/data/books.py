"""A run's ledger as it was written: what became of each row, and where the rows that did not go on are kept."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

from affina.core.errors import Refused, nearest
from affina.core.run import Run

SHOWN = 5
"""Rows set aside or left out that are shown."""


def data_ledger(run: str, root: str | Path = "runs") -> dict[str, Any]:
    """`run`, `ledger` (see `Ledger.summary`), and of the files `quarantine` and `dropped` the path and the first rows.

    `run`: a run's name under `root`, its folder, or a folder of prepared data. Raises Refused where there is none.
    """
    folder = next((each for each in (Path(root) / run, Path(run)) if (each / "ledger.json").is_file()), None)
    if folder is None:
        known = [each.name for each in Run.all(Path(root))]
        raise Refused(
            f"no run called '{run}' has a ledger", instead=nearest(run, known) if known else "train one first"
        )
    totals = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    rows = {name: _rows(folder / f"{name}.jsonl") for name in ("quarantine", "dropped")}
    return {"run": folder.name, "ledger": totals, **rows}


def _rows(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as lines:
        return {"path": str(path), "first": [json.loads(line) for line in islice(lines, SHOWN)]}
