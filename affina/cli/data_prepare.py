"""`affina data prepare RECIPE`: the splits as files, and what became of every row."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen
from affina.cli.data_ledger import books


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe."""
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's file")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.data_prepare(given.recipe, given.root, given.offline, screen.say)
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """The notes, the books, each split's file."""
    for note in found["notes"]:
        screen.text(note)
    books(found["ledger"], screen)
    screen.heading("files" if found["made"] else "files, as they were made before")
    screen.table(
        ["split", "rows", "file"],
        [(split, f"{found['rows'][split]:,}", file) for split, file in found["files"].items()],
    )
