"""`affina train RECIPE`: trains or resumes a run, then says what was won and on what evidence."""

import argparse
from collections.abc import Sequence
from typing import Any

import affina
from affina.cli import registry, runtime, settings
from affina.cli.console import Screen
from affina.cli.show import metrics, suites, verdict
from affina.core.run import Run
from affina.engine.torch.imports import sparing
from affina.evaluation.typed import BETWEEN, UNASKED

SHOWN = 2  # sample answers printed at the end


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe, `--set`, `--run`, `--offline`."""
    settings.recipe(parser)
    parser.add_argument("--run", metavar="NAME", help="the run's name (default: the recipe's); an existing one resumes")
    registry.mirror(parser)
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Trains; the run's own account, its samples and the commands that follow."""
    recipe = affina.Recipe.load(given.recipe, settings.changes(given))
    with sparing():
        train = affina.train
    runtime.imported()
    run = train(recipe, run=given.run, root=given.root, offline=given.offline, say=screen.say, mlflow=given.mlflow)
    there = settings.where_runs_live(given)
    return {
        **affina.show(run.name, root=given.root),
        "samples": run.read("samples.json", []),
        "next": [
            settings.typed("show", run.name, *there),
            *_asking(run, there),
            settings.typed("evaluate", run.name, "--on", "FILE", *there),
        ],
    }


def _asking(run: Run, there: Sequence[str]) -> list[str]:
    """How a text of one's own is put to the model; nothing for those that answer none."""
    task, objective = run.read("lock.json")["task"], run.read("lock.json")["recipe"]["objective"]["name"]
    if task in UNASKED:
        return []
    own = f"your question {BETWEEN} your own text" if task == "question" else "your own text"
    own = "your own text with the mask token in it" if objective in ("masked_lm", "permutation_lm") else own
    said = settings.typed("generate", run.name, own, *there)
    return [said, settings.typed("chat", run.name, *there)]


def show(trained: dict[str, Any], screen: Screen) -> None:
    """Base beside tuned, the verdict, the diagnosis, two answers, the report and what to type next."""
    metrics(trained, screen)
    suites(trained, screen)
    verdict(trained, screen)
    if trained["diagnosis"]:
        screen.text(f"diagnosis: {trained['diagnosis']['sentence']}")
    for sample in trained["samples"][:SHOWN]:
        screen.heading(_short(sample["given"]))
        screen.table(["", "answer"], [(key, _answer(sample, key)) for key in ("expected", "base", "tuned")])
    screen.text()
    if trained["report"]:
        screen.text(f"report: {trained['report']}")
    screen.text("next:")
    for command in trained["next"]:
        screen.text(f"  {command}")


def _answer(sample: dict[str, Any], who: str) -> str:
    """An answer that was cut off ends in an ellipsis."""
    return _short(sample[who]) + ("" if sample.get("stopped", {}).get(who, True) else " …")


def _short(text: str, size: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= size else f"{line[: size - 1]}…"
