"""Which augmentations help where there are few examples of a class: the same model with and without, paired by item.

    python benchmarks/augmentation.py --data DATA --work FOLDER --out results.json banking77 sentipolc

A linear head on minilm's embeddings (or, `--learn layers`, its last two layers for so many steps) learns a few examples
of each class, alone and with four variants of each; split, seed and test rows are the same, so that only rows differ.
banking77: 77 intents, English. sentipolc: polarity in four classes, Italian. `--chat MODEL` adds paraphrases, `--there
MODEL --back MODEL` back-translation, `--masked MODEL` words filled in.

Each run's answers are kept in FOLDER: what was stopped goes on, and the table is of all that is there.
"""

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from golden import spread

import affina
from affina.cli.runtime import prepare
from affina.core.answers import Answers
from affina.core.kinds import Embedded, Vectors, heads, metrics
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Silent
from affina.data.prepare import SPLITS, Prepared
from affina.data.prepare import prepare as prepared_as
from affina.evaluation.open import objection, open_model
from affina.evaluation.reach import reach
from affina.evaluation.statistics import bootstrap_interval, bootstrap_mean
from affina.training.embedded import vectors
from affina.training.features import answered

COUNT = 4
KINDS = ["noun", "adjective", "adverb", "verb"]
POLARITY = {("1", "0"): "positive", ("0", "1"): "negative", ("0", "0"): "neutral", ("1", "1"): "mixed"}
EACH = (5, 10)
PLACE = ("by", "task", "each")
"""What a figure is compared within."""


class Learnt(NamedTuple):
    """How many rows were learnt, and whether each test item was then answered right, by id."""

    rows: int
    right: dict[str, float]


Learning = Callable[[Recipe], Learnt]


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


def recipe(file: Path, steps: list[dict[str, Any]], each: int, seed: int, length: int) -> Recipe:
    """How rows are dealt and varied, and how the last layers learn them."""
    sections: dict[str, Any] = {
        "name": "augmentation",
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
    return Recipe.build(sections, file.parent)


def by_layers(asked: Recipe) -> Learnt:
    """The last layers learn."""
    run: Run = affina.train(asked, root=asked.folder / "runs")
    answers = Answers.from_dict(json.loads((run.folder / "tuned.json").read_text(encoding="utf-8")))
    return Learnt(run.read("ledger.json")["used"]["train"], right(answers))


class Heads:
    """A linear head learns embeddings of texts, each of which is computed once."""

    def __init__(self) -> None:
        self._opened = open_model("minilm", Path("runs"), False, Silent(), vectors=True)
        self._known: dict[str, Embedded] = {}

    def __call__(self, asked: Recipe) -> Learnt:
        prepared = prepared_as(asked, objection(self._opened), reach(Path("runs"), False, Silent()))
        train, validation, test = (self._vectors(prepared, split) for split in SPLITS)
        head = heads.build("linear")
        said = head.answer(head.fit(train, validation, asked.train.seed), test.rows_ND)
        answers = answered(prepared.examples["test"], said, train)
        return Learnt(len(train.targets_N), right(answers))

    def _vectors(self, prepared: Prepared, split: str) -> Vectors:
        examples = prepared.examples[split]
        fresh = [each for each in {each.given: each for each in examples}.values() if each.given not in self._known]
        if fresh:
            self._known |= zip(
                (each.given for each in fresh), vectors(self._opened.model, fresh, Silent()), strict=True
            )
        rows_ND = np.stack([self._known[each.given] for each in examples])
        target_N = [prepared.labels.index(each.target) for each in examples]
        return Vectors(rows_ND, np.array(target_N, np.float64), len(prepared.labels))


def right(answers: Answers) -> dict[str, float]:
    """Whether each test item was answered right, by id."""
    return dict(zip(answers.ids, metrics.build("accuracy").each(answers), strict=True))  # type: ignore[arg-type]


def cell(task: str, each: int, name: str, seed: int, given: argparse.Namespace, learn: Learning) -> None:
    """Trains once and keeps how each test item was answered, unless that was done before."""
    kept = given.work / f"{given.learn}-{task}-{each}-{name}-{seed}.json"
    if kept.is_file():
        return
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder) / "rows.csv", TASKS[task](given.data, given.rows))
        learnt = learn(recipe(file, augmentations(given)[name], each, seed, given.steps))
        found = {
            "task": task,
            "each": each,
            "augmentation": name,
            "seed": seed,
            "by": given.learn,
            "rows": given.rows,
            "learnt": learnt.rows,
            "seconds": round(time.perf_counter() - began, 1),
            "right": learnt.right,
        }
    aside = kept.with_suffix(".part")
    aside.write_text(json.dumps(found), encoding="utf-8")
    os.replace(aside, kept)
    print(kept.stem, f"accuracy {accuracy(found):.4f}, {found['learnt']} rows, {found['seconds']} s", flush=True)


def accuracy(held: dict[str, Any]) -> float:
    return float(np.mean([*held["right"].values()]))


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


def table(work: Path) -> list[dict[str, Any]]:
    """A row per place and augmentation, over the seeds that were run with it and without."""
    cells = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(work.glob("*.json"))]
    alone = {(_place(each), each["seed"]): each for each in cells if each["augmentation"] == "none"}
    groups: dict[tuple[tuple[str, str, int], str], list[dict[str, Any]]] = {}
    for each in cells:
        if (_place(each), each["seed"]) in alone:
            groups.setdefault((_place(each), each["augmentation"]), []).append(each)
    lines = []
    for (place, name), held in sorted(groups.items()):
        pairs = [(each["right"], alone[place, each["seed"]]["right"]) for each in held]
        lines.append(
            {
                **dict(zip(PLACE, place, strict=True)),
                "augmentation": name,
                "seeds": [each["seed"] for each in held],
                "accuracy": [accuracy(each) for each in held],
                "learnt": [each["learnt"] for each in held],
                "difference": difference(pairs),
                "seconds": round(sum(each["seconds"] for each in held), 1),
            }
        )
    return lines


def _place(cell: dict[str, Any]) -> tuple[str, str, int]:
    by, task, each = (cell[name] for name in PLACE)
    return by, task, each


def written(file: Path, rows: Sequence[tuple[str, str]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([("text", "label"), *rows])
    return file


def main() -> None:
    prepare()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"all when left out: {', '.join(TASKS)}")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds a folder per data set")
    parser.add_argument("--work", type=Path, required=True, help="a folder for what was run so far")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--each", type=int, nargs="+", default=[*EACH], help="training examples of a class")
    parser.add_argument("--rows", type=int, default=3000, help="rows that splits are dealt from")
    parser.add_argument("--learn", choices=("head", "layers"), default="head", help="what learns")
    parser.add_argument("--steps", type=int, default=200, help="of the last layers")
    parser.add_argument("--only", nargs="+", default=[], help="augmentations beside none")
    parser.add_argument("--chat", default="", help="a model of conversations, for paraphrases")
    parser.add_argument("--masked", default="", help="a masked model, for words filled in")
    parser.add_argument("--there", default="", help="a model that translates, for back-translation")
    parser.add_argument("--back", default="", help="a model that translates back")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    given = parser.parse_args()
    if unknown := {*given.tasks} - {*TASKS}:
        parser.error(f"no task is called {', '.join(sorted(unknown))}")
    given.work.mkdir(parents=True, exist_ok=True)
    learn = Heads() if given.learn == "head" else by_layers
    for seed in given.seeds:
        for task, each in ((task, each) for task in given.tasks or TASKS for each in given.each):
            for name in augmentations(given):
                cell(task, each, name, seed, given, learn)
    if given.out:
        given.out.write_text(json.dumps({"rows": table(given.work)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
