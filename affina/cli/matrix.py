"""`affina matrix`: task × tuning × architecture, each cell trained in small or refused, and what each said."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import affina
from affina.cli.console import Screen
from affina.core.atomic import write_text
from affina.core.errors import Failed

Cell = Mapping[str, Any]
MARKS = {"works": "works", "refused": "refused", "fails": "**fails**"}
OPENING = """# What goes together

Every task with every tuning on every architecture, as `affina matrix --markdown docs/matrix.md` found it. The bases are
of two layers and width 64, made of random weights and trained for 100 to 500 steps in the one way that each reads; the
runs are of forty steps (regression sixty, contrastive a hundred) on 144 rows. Where that shows nothing they are made
again of five times the steps on five times the rows, and then once more of ten times at three tenths of the rate.
A cell

- **works**: the run held all its proofs, was better on unseen rows than what needs no training (the base where it can
  be asked, else the majority class, the mean …) by its own verdict, and gave the same answers when it was opened again,
  from its checkpoint and, for a whole model's folder or an adapter that PEFT puts into a model's own layers, from the
  files in `model/`;
- is **refused** with the sentence under the table, which is affina's own;
- **fails** when it does neither.

Small models show that the pieces fit, not how well a method does.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which cells, where their runs stay, and a file to write."""
    parser.add_argument("--task", metavar="OBJECTIVE", help="this task only; see `affina list objectives`")
    parser.add_argument("--tuning", metavar="TUNING", help="this tuning only")
    parser.add_argument("--architecture", metavar="FAMILY", help="this architecture only")
    parser.add_argument("--out", metavar="FOLDER", help="keep the runs here, and compute none again (default: nowhere)")
    parser.add_argument("--markdown", metavar="FILE", help="write the table here too")


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name; its table in a file where one is asked for."""
    chosen = {"task": given.task, "tuning": given.tuning, "architecture": given.architecture}
    found: dict[str, Any] = affina.matrix(**chosen, out=given.out, say=screen.say)
    if given.markdown:
        write_text(Path(given.markdown), markdown(found))
    return found


def exit_code(found: dict[str, Any]) -> int:
    """1 where a cell fails."""
    return Failed.exit_code if any(cell["verdict"] == "fails" for cell in found["cells"]) else 0


def show(found: dict[str, Any], screen: Screen) -> None:
    """A table per task, and every sentence once."""
    for task, cells in by_task(found["cells"]).items():
        notes = numbered(cells)
        screen.heading(task)
        families = _names(cells, "architecture")
        screen.table(["tuning", *families], _rows(cells, notes, {name: name for name in MARKS}))
        for sentence, number in notes.items():
            screen.text(f"{number}: {sentence}")
    counts = {name: sum(cell["verdict"] == name for cell in found["cells"]) for name in MARKS}
    screen.text()
    screen.text(", ".join(f"{count} {name}" for name, count in counts.items()))


def markdown(found: Mapping[str, Any]) -> str:
    """The table as a page: a section per task, the sentences of refusals and failures under it."""
    return "\n".join([OPENING, *(section(task, cells) for task, cells in by_task(found["cells"]).items())])


def section(task: str, cells: Sequence[Cell]) -> str:
    """One task's part of the page."""
    notes, families = numbered(cells), _names(cells, "architecture")
    lines = [f"## {task}", "", f"| tuning | {' | '.join(families)} |", f"|{'---|' * (len(families) + 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(cells, notes, MARKS)]
    lines += ["", *(f"{number}. {sentence}" for sentence, number in notes.items())]
    return "\n".join(lines).rstrip() + "\n"


def by_task(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells of each task, in order."""
    return {task: [cell for cell in cells if cell["task"] == task] for task in sorted(_names(cells, "task"))}


def numbered(cells: Sequence[Cell]) -> dict[str, int]:
    """The sentences of cells that do not work, each once, numbered in the order of the table."""
    said = [cell["sentence"] for cell in _ordered(cells) if cell["verdict"] != "works"]
    return {sentence: number for number, sentence in enumerate(dict.fromkeys(said), 1)}


def _ordered(cells: Sequence[Cell]) -> list[Cell]:
    return sorted(cells, key=lambda cell: (cell["tuning"], cell["architecture"]))


def _rows(cells: Sequence[Cell], notes: Mapping[str, int], marks: Mapping[str, str]) -> list[list[str]]:
    """A row per tuning, a column per architecture."""
    rows: dict[str, list[str]] = {}
    for cell in _ordered(cells):
        note = "" if cell["verdict"] == "works" else f" {notes[cell['sentence']]}"
        rows.setdefault(cell["tuning"], [cell["tuning"]]).append(marks[cell["verdict"]] + note)
    return [*rows.values()]


def _names(cells: Sequence[Cell], what: str) -> list[str]:
    return sorted({cell[what] for cell in cells})
