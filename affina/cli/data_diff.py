"""`affina data diff A B`: two data sets beside each other."""

import argparse
from typing import Any

import affina
from affina.cli.console import Screen

CLASSES = 20
"""Classes that are listed; of more, those whose share moved most."""
CUT = 120
"""Characters of a text that are shown."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The two."""
    for name in ("one", "two"):
        parser.add_argument(name, metavar=name.upper(), help="a file, a folder, a pattern, or a recipe")


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.data_diff(given.one, given.two)
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """Rows, lengths and classes of both, and some rows that differ."""
    one, two = found["names"]
    rows = [("rows", *found["rows"]), ("texts in this one only", *found["only"])]
    rows += [(f"characters, {name}", *(each[name] for each in found["characters"])) for name in found["characters"][0]]
    screen.table(["", one, two], [(name, f"{a:,}", f"{b:,}") for name, a, b in rows])
    screen.text(f"{found['same']:,} rows of {one} stand in both, {found['changed']:,} have another target in {two}")
    _classes(found, screen)
    for name, examples in zip(found["names"], found["examples"]["only"], strict=True):
        for each in examples:
            screen.text(f"only in {name}: {each['id']}: {_short(each['given'])}")
    for before, after in found["examples"]["changed"]:
        text = _short(before["given"])
        screen.text(f"{text}: {_short(before['target'])} ({before['id']}) is {_short(after['target'])} ({after['id']})")


def _classes(found: dict[str, Any], screen: Screen) -> None:
    one, two = found["classes"]
    totals = [max(1, sum(counts.values())) for counts in (one, two)]
    moved = {name: two.get(name, 0) / totals[1] - one.get(name, 0) / totals[0] for name in {**one, **two}}
    names = sorted(moved, key=lambda name: (-abs(moved[name]), name))[:CLASSES]
    if names:
        rows = [
            (name, f"{one.get(name, 0):,}", f"{two.get(name, 0):,}", f"{100 * moved[name]:+.1f} %") for name in names
        ]
        screen.table(["class", *found["names"], "share"], rows)
        if len(moved) > CLASSES:
            screen.text(f"and {len(moved) - CLASSES} classes whose share moved less")


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= CUT else f"{plain[:CUT]} …"
