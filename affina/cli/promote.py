"""`affina promote NAME[@V] --to canary|live`: puts a version where it answers, in place of what stood there."""

import argparse
from typing import Any

import affina
from affina.cli import registry
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """The version, the stage, and why against the verdict."""
    parser.add_argument("release", metavar="NAME[@V]", help="a release (default V: the newest)")
    parser.add_argument("--to", default="live", choices=("canary", "live"), help="the stage (default: live)")
    parser.add_argument("--override", default="", metavar="REASON", help="why against its verdict; kept for good")
    registry.options(parser)
    registry.mirror(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    place = registry.place(given)
    found: dict[str, Any] = affina.promote(given.release, given.to, given.override, place, given.mlflow)
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """What stands there now, and what stood there."""
    screen.text(f"{found['release']}@{found['version']} is {found['stage']}")
    if found["replaced"]:
        screen.text(f"it replaces {found['replaced']}; `affina rollback {found['release']}` goes back to it")
