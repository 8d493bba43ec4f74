"""`affina evaluate MODEL`: metrics with intervals, on files, on tasks or on the recipe's test split."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen, interval, number

WORST_CLASSES = 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model and what to measure it on."""
    parser.add_argument("model", metavar="MODEL", help="a run, a folder, an alias, a hub name or an endpoint's URL")
    parser.add_argument(
        "--on",
        metavar="FILE",
        action="append",
        help="examples, a task's YAML, a folder of tasks, or a task's name; may be repeated "
        "(default: the run's own test split)",
    )
    parser.add_argument("--by", metavar="COLUMN", action="append", default=[], help="groups with numbers of their own")
    parser.add_argument("--harness", metavar="TASK", action="append", default=[], help="a task of the lm_eval harness")
    parser.add_argument("--tasks-path", metavar="FOLDER", help="further tasks in the harness's format")
    parser.add_argument("--trust", action="store_true", help="let Python files that define tasks run")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    wanted = affina.Wanted(
        by=tuple(given.by), trust=given.trust, harness=tuple(given.harness), harness_tasks=given.tasks_path
    )
    measured: dict[str, Any] = affina.evaluate(
        given.model, on=given.on, root=given.root, offline=given.offline, say=screen.say, wanted=wanted
    )
    return measured


def show(measured: dict[str, Any], screen: Screen) -> None:
    """A block per file or task."""
    if "on" not in measured:
        screen.text(f"{measured['model']} on {measured['items']} items")
        _numbers(measured, screen)
        return
    for name, found in measured["on"].items():
        screen.heading(f"{name}: {measured['model']} on {found['items']} items")
        _numbers(found, screen)


def _numbers(found: dict[str, Any], screen: Screen) -> None:
    """A row per metric, then classes, calibration, slices and how long an item takes."""
    rows = [(name, interval(one), one["n"]) for name, one in found["metrics"].items()]
    screen.table(["metric", "value [95 % interval]", "items"], rows)
    if found.get("classes"):
        classes = sorted(found["classes"].items(), key=lambda each: each[1]["f1"]["value"])[:WORST_CLASSES]
        screen.text("\nclasses, the worst first")
        shown = [
            (name, one["items"], *(interval(one[of]) for of in ("precision", "recall", "f1"))) for name, one in classes
        ]
        screen.table(["class", "items", "precision", "recall", "f1"], shown)
    if found.get("confusion"):
        _confusions(found["confusion"], screen)
    if found.get("calibration"):
        screen.text("\ncalibration: how often the likeliest label is right, by its probability")
        bins = [
            (f"{one['low']:.1f}–{one['high']:.1f}", one["n"], number(one["confidence"]), interval(one["accuracy"]))
            for one in found["calibration"]
        ]
        screen.table(["probability", "items", "mean probability", "right"], bins)
    for grouping, groups in found.get("slices", {}).items():
        first = next(iter(found["metrics"]))
        screen.text(f"\n{first} by {grouping}")
        screen.table(["group", "items", first], _groups(groups, first))
    for note in found.get("notes", []):
        screen.text(note)
    if taken := found.get("latency"):
        screen.text(f"\none item alone: {taken['p50_s']:.3g} s (median), {taken['p95_s']:.3g} s (95th percentile)")


def _groups(groups: dict[str, Any], first: str) -> list[tuple[Any, ...]]:
    return [(group, one["items"], interval(one["metrics"][first])) for group, one in groups.items()]


def _confusions(confusion: dict[str, Any], screen: Screen) -> None:
    """The commonest confusions."""
    labels, counts = confusion["labels"], confusion["counts"]
    pairs = [(counts[i][j], labels[i], labels[j]) for i in range(len(labels)) for j in range(len(labels)) if i != j]
    worst = sorted((pair for pair in pairs if pair[0]), key=lambda pair: -pair[0])[:WORST_CLASSES]
    if worst:
        screen.text("\nconfused most often")
        screen.table(["is", "given as", "items"], [(right, given, times) for times, right, given in worst])
