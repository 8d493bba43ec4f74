"""`matrix`: what goes together. Every task with every tuning on every architecture, as runs show it: each is trained in
small, or refused by what refuses it everywhere."""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from affina.core.atomic import write_text
from affina.core.errors import Failed, Refused, nearest
from affina.core.kinds import architectures, objectives, tunings
from affina.core.part import Shelf
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Say, Silent
from affina.training import cells
from affina.training.reread import reread
from affina.training.train import train

Verdict = Literal["works", "refused", "fails"]
Outcome = Verdict | Literal["shows nothing"]
"""Of one try; one that shows nothing is no fault yet."""
BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What an error that nobody meant looks like: the cell that meets one fails, and the table goes on."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One task with one tuning on one architecture."""

    task: str
    tuning: str
    architecture: str
    verdict: Verdict
    sentence: str
    """A run's own reason for its verdict, or what was refused and why."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Base:
    """What the runs on one architecture start from: trained from nothing in the way it reads."""

    architecture: str
    objective: str
    sentence: str
    """The pretraining run's own verdict."""
    folder: Path


def matrix(
    task: str | None = None,
    tuning: str | None = None,
    architecture: str | None = None,
    out: str | Path | None = None,
    say: Say | None = None,
) -> dict[str, Any]:
    """{"bases": [...], "cells": [...]}, one cell for each task, tuning and architecture asked for; all when left out.

    A cell works when its run was better than what needs no training, on unseen rows by the run's own verdict, and
    gave the same answers when it was opened again; it is refused when affina says why it cannot be; else it fails.
    Runs stay in `out` where that is given, and what is finished there is not computed again. Raises Refused for an
    unknown name.
    """
    say = say or Silent()
    tasks, ways = _chosen("task", objectives, task), _chosen("tuning", tunings, tuning)
    families = _chosen("architecture", architectures, architecture)
    bases: list[Base] = []
    found: list[Cell] = []
    with _place(out) as folder:
        for family in families:
            bases.append(_base(family, folder / "bases"))
            for one in tasks:
                for way in ways:
                    found.append(_cell(one, way, bases[-1], folder))
                    say.progress("cells", len(found), len(tasks) * len(ways) * len(families), _told(found[-1]))
                    if out is None:
                        shutil.rmtree(folder / "runs", ignore_errors=True)
    told = [{key: value for key, value in asdict(base).items() if key != "folder"} for base in bases]
    return {"bases": told, "cells": [asdict(cell) for cell in found]}


def _chosen(what: str, shelf: Shelf[Any], name: str | None) -> Sequence[str]:
    if name is not None and name not in shelf.names():
        raise Refused(f"no {what} is called '{name}'", instead=nearest(name, [*shelf.names()]))
    return shelf.names() if name is None else [name]


@contextmanager
def _place(out: str | Path | None) -> Iterator[Path]:
    """The folder of the runs: the one given, or one that goes away."""
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        yield Path(out).resolve()


def _base(architecture: str, folder: Path) -> Base:
    """The architecture's base, trained with the one objective of words that its way of reading allows."""
    refusals = []
    for objective in [name for name in objectives.names() if objectives.find(name).head == "words"]:
        place = folder / objective / architecture
        _written(place / "first.jsonl", cells.first_rows(objectives.build(objective), architecture))
        try:
            recipe = cells.base_recipe(architecture, objective, place)
            run = train(recipe, root=place / _key(recipe), offline=True)
        except Refused as error:
            refusals.append(str(error))
            continue
        return Base(architecture, objective, run.show()["verdict"]["reasons"][0], run.folder / "model")
    raise Failed(f"no objective of words takes the architecture {architecture}", why="; ".join(refusals))


def _cell(task: str, tuning: str, base: Base, folder: Path) -> Cell:
    """The cell's first try that shows something, or its last. An error or another answer when reopened is no chance:
    what fails so is not tried again."""
    began = time.perf_counter()
    for times, pace in cells.TRIES:
        outcome, sentence = _tried(task, tuning, base, folder, times, pace)
        if outcome != "shows nothing":
            break
    verdict: Verdict = "fails" if outcome == "shows nothing" else outcome
    sentence = sentence.replace(str(base.folder), f"the {base.architecture} base")
    return Cell(task, tuning, base.architecture, verdict, sentence, round(time.perf_counter() - began, 3))


def _tried(task: str, tuning: str, base: Base, folder: Path, times: int, pace: float) -> tuple[Outcome, str]:
    """What a run of so many times the rows, the steps and the rate came to, and why."""
    place = folder / "rows" / task / str(times)
    try:
        _written(place / "rows.jsonl", cells.task_rows(task, times * cells.ROWS))
        recipe = cells.cell_recipe(task, tuning, base.folder, place, times, pace)
        return _judged(train(recipe, root=folder / "runs" / base.architecture / task / _key(recipe), offline=True))
    except Refused as error:
        return "refused", str(error)
    except (Failed, *BUGS) as error:
        return "fails", f"{type(error).__name__}: {error}"


def _key(recipe: Recipe) -> str:
    """Runs of other recipes stand elsewhere: one that was begun with another would be refused for that alone."""
    return hashlib.sha256(recipe.dump().encode()).hexdigest()[:12]


def _judged(run: Run) -> tuple[Outcome, str]:
    """Whether a finished run works, and why."""
    verdict = run.show()["verdict"]
    if verdict["decision"] != "promote":
        return "shows nothing", f"not better than without training: {verdict['reasons'][0]}"
    if wrong := reread(run):
        return "fails", wrong
    return "works", verdict["reasons"][0]


def _written(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)


def _told(cell: Cell) -> str:
    return f"{cell.task} × {cell.tuning} × {cell.architecture}: {cell.verdict}: {cell.sentence}"
