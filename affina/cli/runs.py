"""`affina runs`: every run under --root, the latest changed first."""

import argparse
from typing import Any

import affina
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """{"root", "runs": [...]}."""
    return {"root": given.root, "runs": affina.runs(root=given.root)}


def show(found: dict[str, Any], screen: Screen) -> None:
    """A row per run."""
    if not found["runs"]:
        screen.text(f"no runs under {found['root']}; `affina train RECIPE` makes one")
        return
    rows = [(run["name"], run["state"], _step(run), run["decision"]) for run in found["runs"]]
    screen.table(["run", "state", "step", "verdict"], rows)


def _step(run: dict[str, Any]) -> str:
    return f"{run['step']}/{run['steps']}" if run["steps"] else str(run["step"])
