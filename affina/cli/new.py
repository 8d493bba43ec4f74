"""`affina new FILE…`: looks at files and writes a short commented recipe."""

import argparse
from typing import Any

import affina
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files in, `--out`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="examples: csv, jsonl, json or text")
    parser.add_argument("--out", metavar="RECIPE", help="where to write (default: the first file's name, .yaml, here)")


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    made: dict[str, Any] = affina.new(given.files, out=given.out)
    return made


def show(made: dict[str, Any], screen: Screen) -> None:
    """What was recognised and why, and what to type next."""
    screen.table(
        ["recognised", "", "because"], [(key, made[key], made["why"][key]) for key in ("format", "shape", "task")]
    )
    screen.text()
    screen.text(f"wrote {made['path']}; next:")
    screen.text(f"  affina check {made['path']}")
    screen.text(f"  affina train {made['path']}")
