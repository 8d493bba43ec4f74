"""`affina compare A B`: paired differences on the same items, and the verdict on B against A."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen, interval, number
from affina.cli.show import verdict


def arguments(parser: argparse.ArgumentParser) -> None:
    """Two models and what to measure them on."""
    parser.add_argument(
        "a", metavar="A", help="the model to beat: a run, a folder, an alias, a hub name or an endpoint's URL"
    )
    parser.add_argument("b", metavar="B", help="the model that should be better")
    parser.add_argument("--on", metavar="FILE", help="examples to measure on (default: the runs' own test split)")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    compared: dict[str, Any] = affina.compare(
        given.a, given.b, on=given.on, root=given.root, offline=given.offline, say=screen.say
    )
    return compared


def show(compared: dict[str, Any], screen: Screen) -> None:
    """A row per metric, then the verdict."""
    screen.text(f"{compared['a']} and {compared['b']} on the same {compared['items']} items")
    rows = [
        (name, number(one["a"]), number(one["b"]), interval(one["difference"], signed=True), _p(one["difference"]))
        for name, one in compared["metrics"].items()
    ]
    screen.table(["metric", compared["a"], compared["b"], "difference [95 % interval]", "p"], rows)
    verdict(compared, screen)


def _p(difference: dict[str, Any] | None) -> str:
    known = difference is not None and difference["value"] is not None and difference.get("p") is not None
    return f"{difference['p']:.2g}" if difference and known else "–"
