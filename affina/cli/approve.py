"""`affina approve NAME[@V]`: says that a version may be promoted; `--require N` sets how many people must say so."""

import argparse
from typing import Any

import affina
from affina.cli import registry
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """The version, a note, and the number."""
    parser.add_argument("release", nargs="?", default="", metavar="NAME[@V]", help="a release (default V: the newest)")
    parser.add_argument("--note", default="", metavar="TEXT", help="kept with the approval")
    parser.add_argument("--require", type=int, metavar="N", help="from now on so many people must approve a promotion")
    registry.options(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.approve(given.release, given.note, given.require, registry.place(given))
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """How many approvals there are."""
    if "release" in found:
        people = ", ".join(each["by"] for each in found["approved"])
        screen.text(f"{found['release']}@{found['version']}: approved by {people}; needed: {found['approvals']}")
    else:
        screen.text(f"approvals that a promotion takes: {found['approvals']}")
