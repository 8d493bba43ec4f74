"""Which augmentations help where there are few examples of a class: the same model with and without, paired by item.

    python benchmarks/augmentation.py --data DATA --seeds 0 1 2 --out results.json banking77 sentipolc

minilm learns 5 and 10 examples of each class, alone and with four variants of each; steps, split and seed are the same,
so that only the rows differ. banking77: 77 intents, English. sentipolc: polarity in four classes, Italian. `--chat
MODEL` adds paraphrases, `--there MODEL --back MODEL` back-translation, `--masked MODEL` words filled in.
"""

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from golden import spread

import affina
from affina.cli.runtime import prepare
from affina.core.answers import Answers
from affina.core.kinds import metrics
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.evaluation.statistics import bootstrap_interval, bootstrap_mean

COUNT = 4
KINDS = ["noun", "adjective", "adverb", "verb"]
POLARITY = {("1", "0"): "positive", ("0", "1"): "negative", ("0", "0"): "neutral", ("1", "1"): "mixed"}
EACH = (5, 10)


def banking77(data: Path, rows: int) -> list[tuple[str, str]]:
    """Messages and their intents."""
    with (data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as lines:
        return [(each["text"], each["category"]) for each in spread([*csv.DictReader(lines)], rows)]


def sentipolc(data: Path, rows: int) -> list[tuple[str, str]]:
    """Posts and their polarity, whatever is ironic."""
    file = data / "sentipolc16_it" / "sentipolc16_officialdistrib_train.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        held = spread([*csv.DictReader(lines)], rows)
        return [(each["text"], POLARITY[each["opos"], each["oneg"]]) for each in held]


TASKS: dict[str, Callable[[Path, int], list[tuple[str, str]]]] = {"banking77": banking77, "sentipolc": sentipolc}


def augmentations(given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """What is laid beside the rows alone, by the name in the table."""
    found: dict[str, list[dict[str, Any]]] = {
        "none": [],
        "synonyms": [{"name": "synonyms", "kinds": KINDS, "rate": 0.3, "count": COUNT}],
        "noise": [{"name": "noise", "count": COUNT}],
        "ocr": [{"name": "noise", "kinds": ["ocr"], "count": COUNT}],
        "word_order": [{"name": "word_order", "count": COUNT}],
        "swap_delete": [{"name": "word_order", "forms": ["swap", "delete"], "count": COUNT}],
    }
    if given.masked:
        found["masked"] = [{"name": "masked", "model": given.masked, "rate": 0.2, "count": COUNT}]
    if given.chat:
        found["paraphrase"] = [{"name": "paraphrase", "model": given.chat, "count": COUNT}]
    if given.there and given.back:
        models = {"there": given.there, "back": given.back}
        found["back_translate"] = [{"name": "back_translate", **models, "temperature": 0.7, "count": COUNT}]
    return {name: steps for name, steps in found.items() if not given.only or name in ("none", *given.only)}


def trained(file: Path, steps: list[dict[str, Any]], each: int, seed: int, length: int) -> Run:
    """The finished run of one recipe."""
    folder = file.parent
    sections: dict[str, Any] = {
        "name": f"{steps[0]['name'] if steps else 'none'}-{each}-{seed}-{len(list(folder.glob('runs/*')))}",
        "model": {"base": "minilm", "dropout": {"attention": 0, "hidden": 0}},
        "data": {
            "read": [str(file)],
            "shape": {"name": "labelled", "text": "text", "label": "label"},
            "transforms": [
                "dedup",
                {"name": "split", "test": 0.4, "validation": 0.1},
                {"name": "select", "n": each, "per": "label"},
                *steps,
            ],
            "max_tokens": 128,
            "truncate": "allow",
        },
        "objective": {"name": "classify"},
        "tuning": {"name": "last_layers", "layers": 2},
        "train": {"steps": length, "batch": 32, "learning_rate": 1e-3, "seed": seed},
        "evaluate": {"metrics": ["accuracy", "loss"]},
    }
    run: Run = affina.train(Recipe.build(sections, folder), root=folder / "runs")
    return run


def right(run: Run) -> dict[str, float]:
    """Whether each test item was answered right, by id."""
    answers = Answers.from_dict(json.loads((run.folder / "tuned.json").read_text(encoding="utf-8")))
    return dict(zip(answers.ids, metrics.build("accuracy").each(answers), strict=True))  # type: ignore[arg-type]


def difference(pairs: Sequence[tuple[dict[str, float], dict[str, float]]]) -> dict[str, float]:
    """With minus without: an item's mean over the seeds that test it; the interval is over items."""
    held: dict[str, list[float]] = {}
    for with_it, without in pairs:
        assert with_it.keys() == without.keys(), "both answer the same items"
        for id, value in with_it.items():
            held.setdefault(id, []).append(value - without[id])
    values_N = np.array([np.mean(each) for _, each in sorted(held.items())])
    value = float(values_N.mean())
    low, high, _ = bootstrap_interval(value, bootstrap_mean(values_N, 0), len(values_N), 0.05)
    return {"value": value, "low": float(low), "high": float(high), "items": len(values_N)}


def table(task: str, each: int, given: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per augmentation: accuracy by seed, rows learnt, the difference to none."""
    found: dict[str, list[dict[str, float]]] = {}
    lines: list[dict[str, Any]] = []
    for name, steps in augmentations(given).items():
        began, accuracies, learnt = time.perf_counter(), [], []
        for seed in given.seeds:
            with tempfile.TemporaryDirectory() as held:
                file = written(Path(held) / "rows.csv", TASKS[task](given.data, given.rows))
                run = trained(file, steps, each, seed, given.steps)
                found.setdefault(name, []).append(right(run))
                learnt.append(run.read("ledger.json")["used"]["train"])
            accuracies.append(float(np.mean([*found[name][-1].values()])))
        line = {
            "task": task,
            "each": each,
            "augmentation": name,
            "accuracy": accuracies,
            "rows": learnt,
            "difference": difference(list(zip(found[name], found["none"], strict=True))),
            "seconds": round(time.perf_counter() - began, 1),
        }
        print(json.dumps(line), flush=True)
        lines.append(line)
    return lines


def written(file: Path, rows: Sequence[tuple[str, str]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([("text", "label"), *rows])
    return file


def main() -> None:
    prepare()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"all when left out: {', '.join(TASKS)}")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds a folder per data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--each", type=int, nargs="+", default=[*EACH], help="training examples of a class")
    parser.add_argument("--rows", type=int, default=4000, help="rows that splits are dealt from")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", nargs="+", default=[], help="augmentations beside none")
    parser.add_argument("--chat", default="", help="a model of conversations, for paraphrases")
    parser.add_argument("--masked", default="", help="a masked model, for words filled in")
    parser.add_argument("--there", default="", help="a model that translates, for back-translation")
    parser.add_argument("--back", default="", help="a model that translates back")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    given = parser.parse_args()
    if unknown := {*given.tasks} - {*TASKS}:
        parser.error(f"no task is called {', '.join(sorted(unknown))}")
    found = [row for task in given.tasks or TASKS for each in given.each for row in table(task, each, given)]
    if given.out:
        given.out.write_text(json.dumps({"rows": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
