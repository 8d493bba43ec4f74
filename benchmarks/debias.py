"""What debiasing does on WinoBias: one classifier trained plainly, on counterfactual data, with groups counting alike,
and by group DRO, each beside the plain one on the same sentences.

    python benchmarks/debias.py --winobias FOLDER --out debias.json

A row is a sentence, its class the occupation that its pronoun means. Most training sentences agree with the stereotype
of an occupation, so that gender is a shortcut; every test sentence stands there with both pronouns, and of
its two occupations the likelier one is taken. Prints accuracy and gap, and their paired differences with 95 %
intervals: `gap` is accuracy where the stereotype agrees less accuracy where it does not.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from affina.core.example import Labelled, Text
from affina.core.model_choice import ModelChoice
from affina.core.recipe import Recipe
from affina.core.say import Silent
from affina.core.task import Tested
from affina.engine import scratch
from affina.evaluation.open import Opened, open_model
from affina.evaluation.tasked import differences, measured
from affina.evaluation.tasks.winobias import Sentence, Winobias
from affina.training.train import train

ARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "counterfactual": {"data.transforms": ["counterfactual"]},
    "groups alike": {"objective": {"name": "classify", "group_by": ["stereotype"]}},
    "group DRO": {"objective": {"name": "classify", "group_by": ["stereotype"], "dro_step": 0.05}},
}
SMALL = {
    "scratch": {"name": "bert", "layers": 2, "width": 64, "heads": 4, "context": 64, "dropout": 0.0},
    "tokenizer": {"name": "wordpiece", "vocabulary": 1200},
}
ALPHA, POWER, SEED = 0.05, 0.8, 0


def asked(sentence: Sentence) -> str:
    """A row's text."""
    return f"{sentence.text} Who is {sentence.pronoun}?"


def training(task: Winobias, agree: float, seed: int) -> Iterator[dict[str, str]]:
    """Every sentence with one of its pronouns."""
    pro, anti = (task.sentences(each, Path()) for each in (task.pro, task.anti))
    draws = np.random.default_rng(seed)
    for one, two in zip(pro, anti, strict=True):
        agrees = draws.random() < agree
        chosen = one if agrees else two
        yield {"text": asked(chosen), "label": chosen.right, "stereotype": "agrees" if agrees else "differs"}


def small(rows: Sequence[dict[str, str]], seed: int) -> str:
    """A small BERT of random weights whose tokenizer is learnt from the rows: the same for every arm."""
    texts = [Text(id=str(number), text=row["text"]) for number, row in enumerate(rows)]
    drafted = scratch.draft(ModelChoice.model_validate(SMALL), texts, Silent().progress)
    return str(scratch.weighed(drafted, seed, Silent().progress).folder)


def recipe(folder: Path, base: str, steps: int, rate: float, seed: int) -> Recipe:
    split = {"name": "split", "test": 0.1, "validation": 0.1, "near": 1.0}
    return Recipe.build(
        {
            "name": "debias",
            "model": {"base": base},
            "data": {"read": ["train.jsonl"], "keep": ["stereotype"], "transforms": [split], "max_tokens": 128},
            "tuning": "full",
            "objective": "classify",
            "train": {
                "steps": steps, "batch": 64, "learning_rate": rate, "seed": seed, "save_every": 10_000,
                "compute": {"precision": "float32", "compile": "off"},
            },
            "evaluate": {"metrics": ["accuracy"], "every": 10_000, "patience": 9},
        },
        folder,
    )  # fmt: skip


def arm(plain: Recipe, changes: dict[str, Any]) -> Recipe:
    """The recipe with an arm's changes; transforms come behind the split."""
    more = dict(changes)
    if "data.transforms" in more:
        more["data.transforms"] = [*plain.data.transforms, *more["data.transforms"]]
    return plain.change(more) if more else plain


def answered(opened: Opened, task: Winobias) -> Tested:
    """WinoBias as a head of occupations answers it: of the sentence's two, the one of the higher score."""
    halves = [task.sentences(each, Path()) for each in (task.pro, task.anti)]
    place = {label: number for number, label in enumerate(opened.labels)}
    held = [each for half in halves for each in half]
    rows = [Labelled(id=each.id, text=asked(each), label=each.right, labels=opened.labels) for each in held]
    scores: list[Any] = [each.scores_L for each in opened.model.score(opened.model.renderer.rows(rows))]
    margins = [score[place[each.right]] - score[place[each.other]] for score, each in zip(scores, held, strict=True)]
    pro_N, anti_N = (np.array(margins).reshape(2, -1) > 0).astype(np.float64)
    columns = {"accuracy_pro": pro_N, "accuracy_anti": anti_N, "gap": pro_N - anti_N, "accuracy": (pro_N + anti_N) / 2}
    return Tested(tuple(each.id for each in halves[0]), columns)


def table(found: Sequence[dict[str, Any]]) -> str:
    lines = ["| training | accuracy | gap | Δ accuracy | Δ gap |", "|---|---|---|---|---|"]
    for each in found:
        values = [f"{100 * each['measured'][name]['value']:.1f}" for name in ("accuracy", "gap")]
        moved = [
            f"{100 * one['value']:+.1f} [{100 * one['low']:+.1f}, {100 * one['high']:+.1f}]"
            for one in (each["from plain"].get(name) for name in ("accuracy", "gap"))
            if one
        ] or ["", ""]
        lines.append(f"| {' | '.join([each['arm'], *values, *moved])} |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--winobias", type=Path, required=True, help="the folder of the published files")
    parser.add_argument("--base", default="", help="what is fine-tuned; a small BERT from nothing when left out")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--agree", type=float, default=0.95, help="share of training sentences that fit the stereotype")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--arms", nargs="+", default=[*ARMS])
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    dev, test = (
        Winobias(**{half: str(given.winobias / f"{half}_stereotyped_type*.txt.{part}") for half in ("pro", "anti")})
        for part in ("dev", "test")
    )
    found: list[dict[str, Any]] = []
    with TemporaryDirectory() as place:
        folder = Path(place)
        rows = list(training(dev, given.agree, given.seed))
        (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        plain = recipe(folder, given.base or small(rows, given.seed), given.steps, given.rate, given.seed)
        kept: dict[str, Tested] = {}
        for name in given.arms:
            began = time.perf_counter()
            run = train(arm(plain, ARMS[name]), run=name.replace(" ", "-"), root=folder / "runs")
            took = time.perf_counter() - began
            kept[name] = answered(open_model(run.name, folder / "runs", False, Silent()), test)
            moved = differences(kept["plain"], kept[name], test, ALPHA, POWER, SEED) if name != "plain" else {}
            found.append(
                {
                    "arm": name,
                    "changes": ARMS[name],
                    "train_s": round(took, 1),
                    "measured": {key: each.as_dict() for key, each in measured(kept[name], test, ALPHA, SEED).items()},
                    "from plain": {key: each.as_dict() for key, each in moved.items()},
                }
            )
            print(table(found), flush=True)
            if given.out:
                settings = {key: str(value) for key, value in vars(given).items() if key not in ("out", "winobias")}
                told = {"settings": settings, "training_rows": len(rows), "pairs": len(kept["plain"]), "arms": found}
                given.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
