"""`affina rollback NAME`: what was live before is live again."""

import argparse
from typing import Any

import affina
from affina.cli import registry
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """The name and why."""
    parser.add_argument("release", metavar="NAME", help="a release that has a live version")
    parser.add_argument("--reason", default="", metavar="TEXT", help="kept in the audit log")
    registry.options(parser)
    registry.mirror(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.rollback(given.release, given.reason, registry.place(given), given.mlflow)
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """What is live now."""
    screen.text(f"{found['release']}@{found['version']} is live again; {found['retired']} is retired")
