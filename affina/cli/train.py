"""`affina train RECIPE`: trains or resumes a run, then says what was won and on what evidence."""

import argparse
from typing import Any

import affina
from affina.cli import runtime, settings
from affina.cli.console import Screen
from affina.cli.show import metrics, verdict
from affina.engine.torch.imports import sparing

SHOWN = 2  # sample answers printed at the end


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe, `--set`, `--run`, `--offline`."""
    settings.recipe(parser)
    parser.add_argument("--run", metavar="NAME", help="the run's name (default: the recipe's); an existing one resumes")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Trains; the run's own account, its samples and the commands that follow."""
    recipe = affina.Recipe.load(given.recipe, settings.changes(given))
    with sparing():
        train = affina.train
    runtime.imported()
    run = train(recipe, run=given.run, root=given.root, offline=given.offline, say=screen.say)
    there = settings.where_runs_live(given)
    return {
        **affina.show(run.name, root=given.root),
        "samples": run.read("samples.json", []),
        "next": [
            settings.typed("show", run.name, *there),
            settings.typed("generate", run.name, "your own text", *there),
            settings.typed("chat", run.name, *there),
            settings.typed("evaluate", run.name, "--on", "FILE", *there),
        ],
    }


def show(trained: dict[str, Any], screen: Screen) -> None:
    """Base beside tuned, the verdict, the diagnosis, two answers, the report and what to type next."""
    metrics(trained, screen)
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
