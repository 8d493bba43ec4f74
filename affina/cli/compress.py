"""`affina compress MODEL`: the efficiency table, and the artefact that fits a device."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen, amount, interval, number


def arguments(parser: argparse.ArgumentParser) -> None:
    """The run, what must fit, where the winner goes, what to measure on."""
    parser.add_argument("model", metavar="MODEL", help="a run or a release")
    parser.add_argument("--fit", metavar="BOUNDS", help="as 'bytes<200MB, p95<50ms': the best that fits is picked")
    parser.add_argument("--out", metavar="FOLDER", help="where what was picked is written (default: nowhere)")
    parser.add_argument("--on", metavar="FILE", help="examples to measure on (default: the run's own test split)")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    where = affina.Where(given.root, given.offline)
    made: dict[str, Any] = affina.compress(given.model, given.fit, given.out, given.on, where, screen.say)
    return made


def show(made: dict[str, Any], screen: Screen) -> None:
    """A row per variant; what cannot be pruned; what was picked."""
    screen.text(f"{made['model']} on {made['items']} items, one after the other")
    columns = ["variant", "bytes", "memory", "load", "p50", "p95", "tokens/s", "right", "nats", "nats beyond full"]
    screen.table(columns, [_cells(row) for row in made["rows"]])
    for name, why in made["refused"].items():
        screen.text(f"{name}: {why}")
    if made["why"]:
        screen.text(made["why"])
    if made["folder"]:
        screen.text(f"written to {made['folder']}")


def _cells(row: dict[str, Any]) -> list[str]:
    times = [f"{1000 * row[name]:,.0f} ms" for name in ("load", "p50", "p95")]
    quality = [number(row["right"]), number(row["nats"]), interval(row["lost"], signed=True)]
    return [row["name"], amount(row["bytes"]), amount(row["memory"]), *times, number(row["tokens_s"]), *quality]
