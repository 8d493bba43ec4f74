"""`affina evaluate MODEL`: metrics with intervals, on a file or on the recipe's test split."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen, interval


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model and what to measure it on."""
    parser.add_argument("model", metavar="MODEL", help="a run, a folder, an alias, a hub name or an endpoint's URL")
    parser.add_argument("--on", metavar="FILE", help="examples to measure on (default: the run's own test split)")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    measured: dict[str, Any] = affina.evaluate(
        given.model, on=given.on, root=given.root, offline=given.offline, say=screen.say
    )
    return measured


def show(measured: dict[str, Any], screen: Screen) -> None:
    """A row per metric."""
    screen.text(f"{measured['model']} on {measured['items']} items")
    rows = [(name, interval(one)) for name, one in measured["metrics"].items()]
    screen.table(["metric", "value [95 % interval]"], rows)
