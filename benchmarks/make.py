"""What a model makes of documents: how many rows are kept of how many tried, why the others are not, at what cost.

    python benchmarks/make.py --data DATA --out results.json

DATA holds piano_triennale_ict_it, sec_contracts, self_instruct_seed_tasks and alpaca_en_demo. Only figures are written;
the rows, the rejected ones and the pages with samples go to --keep where it is given, else nowhere.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import affina
from affina.cli.runtime import prepare

MODEL = "smollm2-135m-instruct"


class Work(NamedTuple):
    """A maker with its settings, the files below DATA, and the rows wanted."""

    maker: dict[str, Any]
    files: str
    rows: int


TOLD = ("maker", "kept", "tried", "yield", "ended", "spans", "by", "passed", "rejected", "prompts")
WORKS = {
    # the embedded model finds the right stretch less often than chance in Italian (docs/why.md), so it is not asked to
    "piano-rules": Work({"name": "questions", "lead": None}, "piano_triennale_ict_it/*.rst", 60),
    "piano-model": Work({"name": "questions", "ask": "model"}, "piano_triennale_ict_it/capitolo-1*pa.rst", 20),
    "contracts-rules": Work({"name": "questions"}, "sec_contracts/severance*.txt", 60),
    "contracts-model": Work({"name": "questions", "ask": "model"}, "sec_contracts/severance__1003124_2010*.txt", 20),
    "instruct": Work({"name": "self_instruct", "example_tokens": 96}, "self_instruct_seed_tasks/seed_tasks.jsonl", 10),
    "refine": Work({"name": "self_refine", "answer_tokens": 96}, "alpaca_en_demo/*.json", 8),
}


def figures(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """What came of one piece of work; only numbers and reasons."""
    work = WORKS[name]
    began_s, busy_s = time.perf_counter(), time.process_time()
    making = affina.Making(MODEL, rows=work.rows)
    report = affina.data_make(work.maker, [str(data / work.files)], folder / f"{name}.jsonl", making)
    return {
        "work": name,
        **{key: report[key] for key in TOLD},
        "files": len(report["files"]),
        "weights": report["model"]["digest"],
        "wall_s": round(time.perf_counter() - began_s, 1),
        "processor_s": round(time.process_time() - busy_s, 1),
    }


def main() -> None:
    prepare()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"all when left out: {', '.join(WORKS)}")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds a folder per data set")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    parser.add_argument("--keep", type=Path, help="where the rows and the pages with samples go")
    given = parser.parse_args()
    if unknown := {*given.works} - {*WORKS}:
        parser.error(f"no work is called {', '.join(sorted(unknown))}")
    found = []
    with tempfile.TemporaryDirectory() as held:
        for name in given.works or WORKS:
            found.append(figures(name, given.data, given.keep or Path(held)))
            print(json.dumps(found[-1], ensure_ascii=False), flush=True)
    if given.out:
        given.out.write_text(json.dumps({"works": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
