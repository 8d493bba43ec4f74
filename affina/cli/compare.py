"""`affina compare A B`: paired differences on the same items or tasks, whole and in slices, and the verdict on B."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen, interval, number
from affina.cli.show import verdict

MOST_SLICES = 12
"""Slices shown beside those that got worse; `--json` has all."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Two models and what to measure them on."""
    parser.add_argument(
        "a", metavar="A", help="the model to beat: a run, a folder, an alias, a hub name or an endpoint's URL"
    )
    parser.add_argument("b", metavar="B", help="the model that should be better")
    parser.add_argument(
        "--on",
        metavar="WHAT",
        action="append",
        default=[],
        help="a file of examples; or a task's YAML, a folder of tasks, a task's name, which may be repeated "
        "(default: the runs' own test split, and the suites that both kept)",
    )
    by = "a column that divides the items into slices; may be given several times (class and length always do)"
    parser.add_argument("--by", metavar="COLUMN", action="append", default=[], help=by)
    parser.add_argument("--trust", action="store_true", help="let Python files that define tasks run")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    on = affina.Items(given.on, tuple(given.by), given.trust)
    compared: dict[str, Any] = affina.compare(
        given.a, given.b, on=on, root=given.root, offline=given.offline, say=screen.say
    )
    return compared


def show(compared: dict[str, Any], screen: Screen) -> None:
    """Of items a row per metric, a row per slice, those that got worse first, and the verdict; a block per task."""
    if "on" in compared:
        _tasks(compared["on"], compared, screen)
        return
    screen.text(f"{compared['a']} and {compared['b']} on the same {compared['items']} items")
    rows = [
        (name, number(one["a"]), number(one["b"]), interval(one["difference"], signed=True), *_evidence(one))
        for name, one in compared["metrics"].items()
    ]
    screen.table(["metric", compared["a"], compared["b"], *_head(compared)], rows)
    _slices(compared, screen)
    verdict(compared, screen)
    _tasks(compared["suites"], compared, screen)
    for sentence in compared["not_compared"]:
        screen.text(sentence)


def _head(compared: dict[str, Any]) -> list[str]:
    return ["difference [95 % interval]", "p", "p (Holm)", f"detectable (power {compared['power']:g})"]


def _tasks(found: dict[str, Any], compared: dict[str, Any], screen: Screen) -> None:
    """A row per statistic of every task, those of its slices that got worse, and how many statistics moved in all."""
    for label, each in found.items():
        screen.heading(f"{label}: {compared['a']} and {compared['b']} on the same {each['items']} items")
        rows = [
            (
                name, number(one["a"]["value"]), number(one["b"]["value"]),
                interval(one["difference"], signed=True), *_evidence(one), one["found"],
            )
            for name, one in each["statistics"].items()
        ]  # fmt: skip
        screen.table(["statistic", compared["a"], compared["b"], *_head(compared), ""], rows)
        _task_slices(each, compared, screen)
        for note in each["notes"]:
            screen.text(note)
    if found:
        said = [one["found"] for each in found.values() for one in each["statistics"].values()]
        screen.heading(
            f"{said.count('better')} of {len(said)} statistics are better in {compared['b']}, "
            f"{said.count('worse')} worse; their p are corrected together (Holm)"
        )


def _task_slices(each: dict[str, Any], compared: dict[str, Any], screen: Screen) -> None:
    """The slices of the statistic that decides, and those of others that got worse."""
    first, found = next(iter(each["statistics"])), each["slices"]
    worse = sum(one["found"] == "worse" for one in found)
    shown = [one for one in found if one["found"] == "worse" or one["statistic"] == first][: worse + MOST_SLICES]
    if not shown:
        return
    screen.text(f"\nby slices, {worse} of {len(found)} shown to be worse")
    rows = [
        (
            f"{one['by']} = {one['group']}", one["statistic"], one["difference"]["n"], interval(one["a"]),
            interval(one["b"]), interval(one["difference"], signed=True), _p(one["p_adjusted"]), one["found"],
        )
        for one in shown
    ]  # fmt: skip
    head = ["slice", "statistic", "items", compared["a"], compared["b"], "difference [95 % interval]", "p (Holm)", ""]
    screen.table(head, rows)
    if len(found) > len(shown):
        screen.text(f"{len(found) - len(shown)} more are in --json")


def _evidence(one: dict[str, Any]) -> tuple[str, str, str]:
    """p, p corrected for all metrics, and the smallest difference that so many items show."""
    difference = one["difference"]
    if difference["value"] is None:
        return "–", "–", "–"
    return _p(difference["p"]), _p(one["p_adjusted"]), number(difference["detectable"])


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def _slices(compared: dict[str, Any], screen: Screen) -> None:
    found = compared["slices"]
    if not found:
        return
    worse = [each for each in found if each["found"] == "worse"]
    shown = found[: len(worse) + MOST_SLICES]
    first = next(iter(compared["metrics"]))
    screen.heading(f"{first} in {len(found)} slices, {len(worse)} of them shown to be worse")
    rows = [
        (
            f"{each['by']} = {each['group']}", each["difference"]["n"], number(each["a"]), number(each["b"]),
            interval(each["difference"], signed=True), _p(each["p_adjusted"]), each["found"],
        )
        for each in shown
    ]  # fmt: skip
    head = ["slice", "items", compared["a"], compared["b"], "difference [95 % interval]", "p (Holm)", ""]
    screen.table(head, rows)
    if len(found) > len(shown):
        screen.text(f"{len(found) - len(shown)} more are in --json")
