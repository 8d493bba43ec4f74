"""Learning one task before another: what it is worth on the second task's unseen rows, over seeds, paired by item.

    python benchmarks/transfer.py --data DATA --seeds 0 1 2 --out results.json translation sentiment

translation: a T5 learns English→Italian, then English→Spanish; beside it the same T5 from random weights, with the same
tokenizer, learns English→Spanish on the same tokens. sentiment: minilm learns film reviews (SST-2), then tweets to
airlines; beside it minilm learns the tweets alone, on the same tokens.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from golden import headed_lines, rated_lines, sides

import affina
from affina.cli.runtime import prepare
from affina.core.answers import Answers
from affina.core.kinds import Floats, metrics
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.evaluation.statistics import bootstrap_interval, bootstrap_weights
from affina.evaluation.weighted import Weighted

T5 = {"name": "t5", "layers": 2, "width": 128, "heads": 4, "context": 64, "dropout": 0.0}
SPLIT = ["dedup", {"name": "split", "test": 0.2, "validation": 0.05}]


def trained(name: str, sections: dict[str, Any], folder: Path) -> Path:
    """A finished run's folder."""
    given = {"name": name, "tuning": {"name": "full"}, **sections}
    run: Run = affina.train(Recipe.build(given, folder), root=folder / "runs")
    return run.folder


def translation(data: Path, folder: Path, seed: int) -> tuple[Path, Path]:
    """The run that learnt Italian before and the run that did not."""
    texts = data / "tatoeba_en_it_es"

    def sections(language: str, count: int, model: dict[str, Any], rate: float) -> dict[str, Any]:
        files = sides([texts / f"eng-{language}.eng", texts / f"eng-{language}.{language}"], folder, count)
        return {
            "model": model,
            "data": {
                "read": [str(path) for path in files],
                "reader": {"name": "parallel_lines"},
                "transforms": SPLIT,
                "max_tokens": 64,
                "truncate": "allow",
            },
            "objective": {"name": "seq2seq"},
            "train": {"epochs": 2, "batch": 32, "learning_rate": rate, "seed": seed, "compute": {"compile": "off"}},
            "evaluate": {"metrics": ["loss"]},
        }

    start = {"scratch": T5, "tokenizer": {"name": "unigram", "vocabulary": 2000}}
    first = trained("italian", sections("ita", 12_000, start, 3e-3), folder) / "model"
    nothing = unlearnt(first, folder / "nothing", seed)
    return tuple(  # type: ignore[return-value]
        trained(name, sections("spa", 4_000, {"base": str(base)}, 3e-3), folder)
        for name, base in (("before", first), ("alone", nothing))
    )


def unlearnt(model: Path, folder: Path, seed: int) -> Path:
    """The same model with random weights and the same tokenizer."""
    import torch
    import transformers

    shutil.copytree(model, folder)
    torch.manual_seed(seed)
    made = transformers.T5ForConditionalGeneration(transformers.T5Config.from_pretrained(model))
    made.save_pretrained(folder)
    return folder


def sentiment(data: Path, folder: Path, seed: int) -> tuple[Path, Path]:
    """The run that learnt reviews before and the run that did not."""

    def sections(read: Path, shape: dict[str, str], base: str) -> dict[str, Any]:
        return {
            "model": {"base": base, "dropout": {"attention": 0, "hidden": 0}},
            "data": {
                "read": [str(read)],
                "shape": {"name": "labelled", **shape},
                "transforms": SPLIT,
                "max_tokens": 96,
                "truncate": "allow",
            },
            "objective": {"name": "classify"},
            "tuning": {"name": "full"},
            "train": {"epochs": 2, "batch": 32, "learning_rate": 1e-4, "seed": seed, "compute": {"compile": "off"}},
            "evaluate": {"metrics": ["accuracy", "loss"]},
        }

    (reviews,) = rated_lines([data / "sst2_binary" / "stsa.binary.train"], folder, 4000)
    (tweets,) = headed_lines([data / "twitter_airline_sentiment" / "Tweets.csv"], folder, 700)
    first = trained("reviews", sections(reviews, {"text": "text", "label": "label"}, "minilm"), folder) / "model"
    asked = {"text": "text", "label": "airline_sentiment"}
    return (
        trained("before", sections(tweets, asked, str(first)), folder),
        trained("alone", sections(tweets, asked, "minilm"), folder),
    )


def answered(run: Path) -> Answers:
    return Answers.from_dict(json.loads((run / "tuned.json").read_text(encoding="utf-8")))


def in_order(answers: Answers, ids: Sequence[str]) -> Answers:
    """The same answers, in the order of these ids, all of which must be there."""
    places = {each: place for place, each in enumerate(answers.ids)}
    assert places.keys() == set(ids) and len(places) == len(ids), "both answer the same items"
    return answers.take(np.array([places[each] for each in ids], dtype=np.int64))


def weighed(metric: str, answers: Answers) -> Callable[[Floats], Floats]:
    """From how often each item is drawn [B, N] to the metric [B]."""
    part = metrics.build(metric)
    if isinstance(part, Weighted):
        return part.of(answers)
    items_N = part.each(answers)
    assert items_N is not None, f"{metric} is of single items"
    return lambda weights_BN: weights_BN @ items_N / weights_BN.sum(axis=1)


def line(task: str, metric: str, data: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """before - alone, a mean over seeds. Each seed has its own unseen items, drawn again for the interval by seed."""
    began, shown, drawn = time.perf_counter(), [], []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as held:
            before, alone = (answered(run) for run in TASKS[task][0](data, Path(held), seed))
        of_before, of_alone = weighed(metric, before), weighed(metric, in_order(alone, before.ids))
        once = np.ones((1, len(before)))
        shown.append({"seed": seed, "before": float(of_before(once)[0]), "alone": float(of_alone(once)[0])})
        drawn.append(
            [of_before(weights_BN) - of_alone(weights_BN) for weights_BN in bootstrap_weights(len(before), seed)]
        )
        print(json.dumps({"task": task, **shown[-1]}), flush=True)
    n = len(before)
    value = float(np.mean([each["before"] - each["alone"] for each in shown]))
    resampled_B = np.mean([np.concatenate(each) for each in drawn], axis=0)
    low, high, _ = bootstrap_interval(value, resampled_B, n, 0.05)
    return {
        "task": task,
        "metric": metric,
        "seeds": shown,
        "difference": {"value": value, "low": float(low), "high": float(high), "items_a_seed": n},
        "seconds": round(time.perf_counter() - began, 1),
    }


TASKS = {"translation": (translation, "loss"), "sentiment": (sentiment, "accuracy")}


def main() -> None:
    prepare()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"all when left out: {', '.join(TASKS)}")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds a folder per data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    given = parser.parse_args()
    if unknown := {*given.tasks} - {*TASKS}:
        parser.error(f"no task is called {', '.join(sorted(unknown))}")
    found = [line(task, TASKS[task][1], given.data, given.seeds) for task in given.tasks or TASKS]
    text = json.dumps({"tasks": found}, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
