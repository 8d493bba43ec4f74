"""Runs the golden recipes on excerpts of real data: base against tuned on the same items, with the paired interval.

    python benchmarks/recipes.py --data DATA --seeds 0 1 --out results.json sms_spam banking77
    python benchmarks/recipes.py --data DATA --scratch gpt2 qwen3 gemma mistral promessi_sposi

Every run that ends is added to `--out` at once; its line of an earlier time, same recipe, start and seed, is replaced.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from golden import GOLDEN, Golden

import affina
from affina.cli.runtime import prepare


def line(golden: Golden, data: Path, seed: int, family: str = "") -> dict[str, Any]:
    """What one run showed, of random weights of another `family` where one is given.

    Interval and difference are tuned - base on the metric that decides.
    """
    began, cpu_began = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as held:
        recipe = golden.small(data, Path(held), seed).change({"model.scratch.name": family} if family else {})
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
    others = [each for each in before if any(each[name] != added[name] for name in ("recipe", "start", "seed"))]
    text = json.dumps({"runs": [*others, added]}, indent=1, ensure_ascii=False)
    out.write_text(text + "\n", encoding="utf-8")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    names = [golden.recipe for golden in GOLDEN]
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"all when left out: {', '.join(names)}")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds a folder per data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--scratch", nargs="+", default=[""], metavar="FAMILY", help="of these families' random weights"
    )
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    given = parser.parse_args(argv)
    if unknown := set(given.recipes) - set(names):
        parser.error(f"no golden recipe is called {', '.join(sorted(unknown))}")
    return given


def main() -> None:
    prepare()
    given = arguments()
    for golden in GOLDEN:
        chosen = golden.recipe in given.recipes or not given.recipes
        for family, seed in product(given.scratch, given.seeds if chosen else []):
            found = line(golden, given.data, seed, family)
            print(json.dumps(found, ensure_ascii=False), flush=True)
            if given.out:
                kept(given.out, found)


if __name__ == "__main__":
    main()
