"""`affina check RECIPE`: everything training would refuse, found before it; what it would see, shown."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen
from affina.core.errors import Refused


def arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe, `--set`, `--offline`."""
    settings.recipe(parser)
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    recipe = affina.Recipe.load(given.recipe, settings.changes(given))
    found: dict[str, Any] = affina.check(recipe, offline=given.offline, say=screen.say)
    changed = [word for change in given.set for word in ("--set", change)]
    offline = ["--offline"] if given.offline else []
    train = settings.typed("train", given.recipe, *changed, *offline, *settings.where_runs_live(given))
    return {"recipe": given.recipe, **found, "next": [] if found["problems"] else [train]}


def exit_code(seen: dict[str, Any]) -> int:
    """2 when training would refuse what was seen."""
    return Refused.exit_code if seen["problems"] else 0


def show(seen: dict[str, Any], screen: Screen) -> None:
    """Notes, ledger, splits, lengths, three examples with what is learned marked, and what to type next."""
    screen.text(f"base: {seen['base']['reference']} (licence: {seen['base']['licence']})")
    for note in seen["notes"]:
        screen.text(note)
    screen.heading("ledger")
    screen.table(["rows", "what became of them"], _ledger(seen["ledger"]))
    _splits(seen, screen)
    for row in seen["examples"]:
        learned = f"class {row['label']}" if row["label"] else f"{row['targets']} of them learned"
        screen.heading(f"{row['id']} · {row['tokens']} tokens, {learned}")
        screen.spans((_short(piece["text"]), piece["learned"]) for piece in row["pieces"])
    screen.text()
    for problem in seen["problems"]:
        screen.text(f"problem: {problem}")
    for command in seen["next"]:
        screen.text(f"ready; next: {command}")


def _ledger(ledger: dict[str, Any]) -> list[tuple[int, str]]:
    rows = [(ledger["read"], "read")]
    rows += [(count, f"used for {split}") for split, count in ledger["used"].items()]
    for end in ("dropped", "quarantined"):
        rows += [(count, f"{end}: {reason}") for reason, count in ledger[end]["reasons"].items()]
    return rows


def _splits(seen: dict[str, Any], screen: Screen) -> None:
    screen.heading("splits")
    rows = [
        (name, one["rows"], f"{one['tokens']:,}", f"{one['targets']:,}", one["longest"], one["too_long"])
        for name, one in seen["splits"].items()
    ]
    screen.table(["split", "rows", "tokens", "learned", "longest", f"over {seen['max_tokens']}"], rows)
    screen.text(f"{seen['steps']:,} steps of {seen['batch']} rows")
    if seen["labels"]:
        common, rare = next(iter(seen["labels"].items())), list(seen["labels"].items())[-1]
        text = f"{len(seen['labels'])} classes: from {common[0]} ({common[1]} training rows) to {rare[0]} ({rare[1]})"
        screen.text(text)


def _short(text: str, ends: int = 600) -> str:
    return text if len(text) <= 2 * ends else f"{text[:ends]} … [{len(text) - 2 * ends:,} characters] … {text[-ends:]}"
