"""`affina features MODEL FILE`: embeddings as Parquet, and heads on them beside what needs no model."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen, interval
from affina.cli.show import verdict


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the file, where to write and which heads."""
    parser.add_argument("model", metavar="MODEL", help="a run, a folder, an alias or a hub name; an encoder too")
    parser.add_argument(
        "file", metavar="FILE", help="examples, or a recipe's YAML that says how they are read and split"
    )
    parser.add_argument("--out", default="features.parquet", metavar="FILE", help="default: features.parquet")
    parser.add_argument(
        "--head", action="append", default=[], metavar="NAME", help="linear, knn or forest; may be given several times"
    )
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    where = affina.Where(given.root, given.offline)
    found: dict[str, Any] = affina.features(given.model, given.file, given.out, given.head, where, screen.say)
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """What was written; of each head its metrics beside what needs no model, and the verdict."""
    screen.text(f"{found['rows']:,} rows of {found['width']:,} numbers in {found['file']}")
    for name, head in found["heads"].items():
        screen.heading(f"{name} on {found['items']:,} test rows, kept in {head['folder']}")
        metrics(head, found["without"], name, screen)
        verdict(head, screen)


def metrics(judged: dict[str, Any], base: str, tuned: str, screen: Screen) -> None:
    """A row per metric: what it is beside, the thing itself, and their paired difference."""
    rows = [
        (name, interval(one["base"]), interval(one["tuned"]), interval(one["difference"], signed=True))
        for name, one in judged["metrics"].items()
    ]
    screen.table(["metric", base, tuned, "difference [95 % interval]"], rows)
