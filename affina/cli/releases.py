"""`affina releases [NAME]`: every release with its stage and verdict; of one also its log."""

import argparse
from typing import Any

import affina
from affina.cli import registry
from affina.cli.console import Screen

SHORT = 12
"""Digits of an id that are shown."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """A name."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="one release (default: all)")
    registry.options(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.releases(given.name, registry.place(given))
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """A row per version, then the log, then what is wrong with it."""
    if not found["releases"]:
        screen.text("no releases; `affina release RUN --name NAME` makes one")
        return
    rows = [
        (
            f"{one['release']}@{one['version']}",
            one["stage"],
            _verdict(one),
            one["run"],
            one["id"][:SHORT],
        )
        for one in found["releases"]
    ]
    screen.table(["release", "stage", "verdict", "run", "id"], rows)
    for one in found["releases"]:
        if one["tampered"]:
            screen.text(f"{one['release']}@{one['version']} is not what was released: restore {one['folder']}")
        if one["gone"]:
            screen.text(f"{one['release']}@{one['version']} does not lie here: there is no {one['folder']}")
    if found["log"]:
        screen.heading("log")
        entries = [(one["at"], _who(one), one["action"], one["subject"], _why(one)) for one in found["log"]]
        screen.table(["at", "by", "action", "release", ""], entries)
    if found["approvals"]:
        screen.text(f"approvals that a promotion takes: {found['approvals']}")
    if found["audit"]:
        screen.text(f"the audit log was tampered with: {found['audit']}")


def _verdict(one: dict[str, Any]) -> str:
    return f"{one['verdict']}, overridden" if one["override"] else str(one["verdict"])


def _who(entry: dict[str, Any]) -> str:
    """Who is named, and as whom and where it was run."""
    detail = entry["detail"] if isinstance(entry["detail"], dict) else {}
    return f"{entry['by']} ({detail['user']}@{detail['host']})" if detail.get("user") else str(entry["by"])


def _why(entry: dict[str, Any]) -> str:
    detail = entry["detail"] if isinstance(entry["detail"], dict) else {}
    said = [f"to {detail['to']}"] if detail.get("to") else []
    return "; ".join([*said, *(detail[key] for key in ("override", "reason", "note") if detail.get(key))])
