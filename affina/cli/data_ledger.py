"""`affina data ledger RUN`: what became of every row that was read."""

import argparse
from typing import Any

import affina
from affina.cli.console import Screen

CUT = 160
"""Characters of a row that are shown."""
BAR = 32
"""Characters of the longest bar."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The run."""
    parser.add_argument("run", metavar="RUN", help="a run under --root, its folder, or a folder of prepared data")


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.data_ledger(given.run, root=given.root)
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """The books, and the first rows that were set aside or left out."""
    books(found["ledger"], screen)
    for row in found["quarantine"]["first"]:
        screen.text(f"{row['file']}:{row['line']}: {row['reason']}: {str(row['row'])[:CUT]}")
    for row in found["dropped"]["first"]:
        screen.text(f"{row['id']}: {row['reason']}")
    screen.text(f"all of them: {found['quarantine']['path']}, {found['dropped']['path']}")


def books(ledger: dict[str, Any], screen: Screen) -> None:
    """A table of every end and its reasons, with bars."""
    total = max(1, ledger["read"] + ledger["made"])
    rows = [("read", "", ledger["read"])] + ([("made", "", ledger["made"])] if ledger["made"] else [])
    rows += [(f"used for {split}", "", count) for split, count in ledger["used"].items()]
    for end in ("dropped", "quarantined"):
        rows += [(end, reason, count) for reason, count in ledger[end]["reasons"].items()] or [(end, "", 0)]
    table = [
        (end, f"{count:,}", f"{100 * count / total:.1f} %", "█" * round(BAR * count / total), why)
        for end, why, count in rows
    ]
    screen.table(["", "rows", "", "", "why"], table)
    if ledger["cut"]["rows"]:
        cut = ledger["cut"]
        lost = f"{cut['rows']:,} rows lost {cut['tokens']:,} tokens, {cut['targets']:,} of them targets"
        screen.text(f"cut to data.max_tokens: {lost}")
