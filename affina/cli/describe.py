"""`affina describe PART`: what a part (or a recipe's section) is, and each of its settings."""

import argparse
import json
from typing import Any

import affina
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """The part, and its shelf where a name stands on two."""
    parser.add_argument("part", metavar="PART", help="a part (lora), SHELF/PART, or a recipe's section (train)")


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.describe(given.part)
    return found


def show(part: dict[str, Any], screen: Screen) -> None:
    """The sentence, then a row per setting."""
    screen.text(f"{part['name']}{' · ' + part['shelf'] if part['shelf'] else ''}: {part['doc']}")
    if part["fields"]:
        rows = [(field["name"], _kind(field), _default(field), field["doc"]) for field in part["fields"]]
        screen.text()
        screen.table(["setting", "type", "default", "what it does"], rows)


def _kind(field: dict[str, Any]) -> str:
    return f"{field['type'].removesuffix(' or none')} {field['limits']}".rstrip()


def _default(field: dict[str, Any]) -> str:
    if field["required"]:
        return "needed"
    if field["default"] is None:
        return "–"
    return field["default"] if isinstance(field["default"], str) else json.dumps(field["default"])
