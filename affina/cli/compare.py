"""`affina compare A B`: paired differences on the same items, whole and in slices, and the verdict on B against A."""

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
    parser.add_argument("--on", metavar="FILE", help="examples to measure on (default: the runs' own test split)")
    by = "a column that divides the items into slices; may be given several times (class and length always do)"
    parser.add_argument("--by", metavar="COLUMN", action="append", default=[], help=by)
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    on = affina.Items(given.on, tuple(given.by))
    compared: dict[str, Any] = affina.compare(
        given.a, given.b, on=on, root=given.root, offline=given.offline, say=screen.say
    )
    return compared


def show(compared: dict[str, Any], screen: Screen) -> None:
    """A row per metric, a row per slice, those that got worse first, then the verdict."""
    screen.text(f"{compared['a']} and {compared['b']} on the same {compared['items']} items")
    rows = [
        (name, number(one["a"]), number(one["b"]), interval(one["difference"], signed=True), *_evidence(one))
        for name, one in compared["metrics"].items()
    ]
    head = ["difference [95 % interval]", "p", "p (Holm)", f"detectable (power {compared['power']:g})"]
    screen.table(["metric", compared["a"], compared["b"], *head], rows)
    _slices(compared, screen)
    verdict(compared, screen)


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
