"""`affina list [SHELF]`: the parts a recipe can name, each with its first sentence."""

import argparse
from typing import Any

import affina
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """The shelf, or all of them."""
    parser.add_argument("shelf", nargs="?", metavar="SHELF", help="objectives, metrics, transforms … (default: all)")


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.list(given.shelf)
    return found


def show(shelves: dict[str, Any], screen: Screen) -> None:
    """A block per shelf."""
    for shelf, parts in shelves.items():
        screen.heading(shelf)
        screen.table(["part", "what it is"], parts.items())
