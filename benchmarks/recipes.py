"""Runs the golden recipes on excerpts of real data: base against tuned on the same items, with the paired interval.

    python benchmarks/recipes.py --data DATA --seeds 0 1 --out results.json sms_spam banking77

Every run that ends is added to `--out` at once; its line of an earlier time, same recipe and seed, is replaced.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from golden import GOLDEN, Golden

import affina
from affina.cli.runtime import prepare


def line(golden: Golden, data: Path, seed: int) -> dict[str, Any]:
    """What one run showed. Interval and difference are tuned - base on the metric that decides."""
    began, cpu_began = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as held:
        recipe = golden.small(data, Path(held), seed)
        shown = affina.train(recipe, root=Path(held) / "runs").show()
    verdict = shown["verdict"]
    found = shown["metrics"][verdict["metric"]]
    return {
        "recipe": golden.recipe,
        "seed": seed,
        "data": f"{golden.folder}/{', '.join(golden.files)}",
        "rows": shown["ledger"]["used"],
        "start": recipe.model.base or f"{recipe.model.scratch.name} from scratch",  # type: ignore[union-attr]
        "tuning": recipe.tuning.name,
        "metric": verdict["metric"],
        "base": found["base"],
        "tuned": found["tuned"],
        "difference": {key: found["difference"][key] for key in ("value", "low", "high", "n")},
        "others": {name: [each["base"], each["tuned"]] for name, each in shown["metrics"].items()},
        "decision": verdict["decision"],
        "proofs": f"{sum(each['passed'] for each in shown['proofs'])} of {len(shown['proofs'])}",
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_s": round(time.process_time() - cpu_began, 1),
    }


def kept(out: Path, added: dict[str, Any]) -> None:
    """Adds a line to the file of results."""
    before = json.loads(out.read_text(encoding="utf-8"))["runs"] if out.exists() else []
    others = [each for each in before if (each["recipe"], each["seed"]) != (added["recipe"], added["seed"])]
    text = json.dumps({"runs": [*others, added]}, indent=1, ensure_ascii=False)
    out.write_text(text + "\n", encoding="utf-8")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    names = [golden.recipe for golden in GOLDEN]
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"all when left out: {', '.join(names)}")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds a folder per data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    given = parser.parse_args(argv)
    if unknown := set(given.recipes) - set(names):
        parser.error(f"no golden recipe is called {', '.join(sorted(unknown))}")
    return given


def main() -> None:
    prepare()
    given = arguments()
    for golden in GOLDEN:
        for seed in given.seeds if golden.recipe in given.recipes or not given.recipes else []:
            found = line(golden, given.data, seed)
            print(json.dumps(found, ensure_ascii=False), flush=True)
            if given.out:
                kept(given.out, found)


if __name__ == "__main__":
    main()
