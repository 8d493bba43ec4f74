"""`affina data look FILE…`: what files hold, how affina reads them, and what is wrong with them."""

import argparse
from typing import Any

import affina
from affina.cli.console import Screen
from affina.core.errors import Refused


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files in."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="files, folders or patterns")


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    seen: dict[str, Any] = affina.data_look(given.files)
    return seen


def exit_code(seen: dict[str, Any]) -> int:
    """2 when no row can be used."""
    return 0 if seen["ledger"]["used"] else Refused.exit_code


def show(seen: dict[str, Any], screen: Screen) -> None:
    """What was recognised."""
    screen.text(f"{seen['rows']:,} rows, {seen['shape']}")
