"""`affina lineage NAME[@V]`: the data, base and run that a release came of, and what came of it."""

import argparse
from typing import Any

import affina
from affina.cli import registry
from affina.cli.console import Screen

SHORT = 12
"""Digits of a hash that are shown."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """A release, a file of data, or a hash."""
    parser.add_argument("what", metavar="WHAT", help="NAME[@V], a file of data, or the beginning of a hash")
    registry.options(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.lineage(given.what, registry.place(given))
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """The way up and the way down, a row per node."""
    node = found["node"]
    stated = f", licence: {node['licence']}" if node["licence"] else ""
    screen.text(f"{node['kind']} {node['label'] or node['key']} ({node['key'][:SHORT]}){stated}")
    for way, heading in (("up", "came of"), ("down", "gave")):
        if found[way]:
            screen.heading(heading)
            rows = [
                ("  " * (one["steps"] - 1) + one["kind"], one["label"], one["key"][:SHORT], one["licence"])
                for one in found[way]
            ]
            screen.table(["", "", "SHA-256", "licence"], rows)
