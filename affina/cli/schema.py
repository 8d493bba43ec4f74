"""`affina schema`: the JSON schema of a recipe, for editors that complete and check YAML."""

import argparse
import json
from typing import Any

import affina
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.schema()
    return found


def show(schema: dict[str, Any], screen: Screen) -> None:
    """The schema, indented."""
    screen.text(json.dumps(schema, indent=2, ensure_ascii=False))
