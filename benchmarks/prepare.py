"""Preparing a data set larger than memory should hold: rows and bytes a second, and the memory of the whole process.

    python benchmarks/prepare.py --gigabytes 2 --row 1000 --transforms dedup split --out prepare.json

The file is made on the spot from a seed: JSON lines of random words with one of ten classes, of which 2 % repeat an
earlier row and 1 % repeat one but for a word. The command run is `affina data prepare`, in a process of its own.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

WORDS = 50_000
LABELS = 10


def words(dice: random.Random) -> list[str]:
    """A vocabulary of made words."""
    syllables = [first + vowel for first in "bcdfglmnprstvz" for vowel in "aeiou"]
    return ["".join(dice.choices(syllables, k=dice.randint(1, 4))) for _ in range(WORDS)]


def made(path: Path, size: int, row: int) -> int:
    """Writes about `size` bytes of rows of about `row` bytes; returns how many rows."""
    dice, draws, count, kept = random.Random(0), np.random.default_rng(0), 0, ["an earlier row"]
    vocabulary = np.array(words(dice), dtype=object)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            for chosen in draws.integers(0, WORDS, (1000, max(1, row // 7))):
                text = " ".join(vocabulary[chosen])
                odds = dice.random()
                if odds < 0.03:
                    text = kept[dice.randrange(len(kept))]
                    text = text if odds < 0.02 else f"{text} {vocabulary[chosen[0]]}"
                elif len(kept) < 10_000:
                    kept.append(text)
                file.write(json.dumps({"text": text, "label": f"class {dice.randrange(LABELS)}"}) + "\n")
                count += 1
    return count


def interpreter_gb() -> float:
    """The peak of a process that imports what preparing imports and does nothing."""
    script = "import affina.training.data_prepare, pyarrow.parquet, scipy.sparse.csgraph"
    return peak_gb([sys.executable, "-c", script], {})[0]


def peak_gb(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """(peak resident GB, seconds, what it printed) of a command that ends well."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return used.ru_maxrss * 1024 / 1e9, time.perf_counter() - began, printed


def measure(given: argparse.Namespace, folder: Path) -> dict[str, object]:
    data = folder / "rows.jsonl"
    rows = made(data, int(given.gigabytes * 1e9), given.row)
    recipe = {
        "name": "prepare",
        "model": {"scratch": "bert", "tokenizer": {"name": "wordpiece", "vocabulary": 1000}},
        "data": {"read": ["rows.jsonl"], "transforms": [yaml.safe_load(each) for each in given.transforms]},
        "objective": "classify",
        "tuning": "full",
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    affina = [sys.executable, "-m", "affina.cli.main", "data", "prepare", str(folder / "recipe.yaml"), "--json"]
    cache = {"AFFINA_CACHE": str(folder / "cache")}
    peak, seconds, printed = peak_gb(affina, cache)
    again = peak_gb(affina, cache)[1]
    found, base = json.loads(printed), interpreter_gb()
    size = data.stat().st_size
    return {
        "rows": rows, "gigabytes": round(size / 1e9, 2), "transforms": given.transforms, "seconds": round(seconds, 1),
        "rows_per_s": round(rows / seconds), "mb_per_s": round(size / 1e6 / seconds, 1), "peak_gb": round(peak, 2),
        "interpreter_gb": round(base, 2), "above_interpreter_gb": round(peak - base, 2), "again_s": round(again, 1),
        "used": found["rows"], "dropped": found["ledger"]["dropped"]["total"],
        "cores": len(os.sched_getaffinity(0)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--row", type=int, default=1000, help="bytes of a row, about")
    parser.add_argument("--transforms", nargs="+", default=["dedup", "split"], help="as in a recipe, each in YAML")
    parser.add_argument("--out", help="where the JSON goes")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        found = measure(given, Path(folder))
    print(json.dumps(found))
    if given.out:
        Path(given.out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
