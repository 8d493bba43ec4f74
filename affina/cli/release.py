"""`affina release RUN --name NAME`: one folder that holds all of a finished run, entered as a candidate."""

import argparse
from typing import Any

from affina.cli import registry, settings
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """The run, the name, and what the run itself does not tell."""
    parser.add_argument("run", metavar="RUN", help="a finished run: its name under --root, or its folder")
    parser.add_argument("--name", required=True, metavar="NAME", help="the release's name; each is a new version of it")
    parser.add_argument("--system", metavar="TEXT", help="the system prompt (default: the one its data begin with)")
    parser.add_argument(
        "--override", default="", metavar="REASON", help="why it may be promoted against its verdict; kept for good"
    )
    registry.options(parser)
    registry.mirror(parser)
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    from affina.release.release import Wish, release

    wish = Wish(given.name, given.override, given.system, given.mlflow)
    found = release(given.run, wish, registry.place(given), given.offline, screen.say)
    name = f"{found['release']}@{found['version']}"
    may = found["verdict"]["decision"] == "promote" or found["override"]
    promote = settings.typed("promote", name, *([] if may else ["--override", "REASON"]), *registry.again(given))
    return {**found, "next": [promote]}


def show(found: dict[str, Any], screen: Screen) -> None:
    """What was made and where, and what to type next."""
    screen.text(f"{found['release']}@{found['version']}: {found['stage']}, verdict {found['verdict']['decision']}")
    screen.text(f"id: {found['id']}")
    screen.text(f"folder: {found['folder']}")
    screen.text(f"card: {found['card']}")
    for command in found["next"]:
        screen.text(f"next: {command}")
