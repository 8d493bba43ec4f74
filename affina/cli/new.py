"""`affina new FILE…`: looks at files and writes a short commented recipe."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files in, `--out`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="examples: csv, jsonl, json or text")
    parser.add_argument("--out", metavar="RECIPE", help="where to write (default: the first file's name, .yaml, here)")


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    made: dict[str, Any] = affina.new(given.files, out=given.out)
    return {**made, "next": [settings.typed("check", made["path"]), settings.typed("train", made["path"])]}


def show(made: dict[str, Any], screen: Screen) -> None:
    """What was recognised and why, what was noted and left out, and what to type next."""
    screen.table(
        ["recognised", "", "because"], [(key, made[key], made["why"][key]) for key in ("format", "shape", "task")]
    )
    screen.text()
    for note in made["notes"]:
        screen.text(note)
    for end in ("dropped", "quarantined"):
        for reason, count in made["ledger"][end]["reasons"].items():
            screen.text(f"{end}: {count} of {made['ledger']['read']} rows: {reason}")
    screen.text(f"wrote {made['path']}; next:")
    for command in made["next"]:
        screen.text(f"  {command}")
