"""Puts a model to tasks: what it did with each, as numbers with intervals, by slice, and samples people can read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from affina.core.errors import Refused
from affina.core.example import Example
from affina.core.say import Say
from affina.core.task import Hall, Task, Tested
from affina.evaluation.asking import unscored
from affina.evaluation.bank import Bank
from affina.evaluation.measure import Estimate
from affina.evaluation.open import Opened, splits_of
from affina.evaluation.reach import reach
from affina.evaluation.task_file import Named
from affina.evaluation.tasked import measured, parts

SHOWN = 5
"""Items of a task that are told whole."""


class OwnSplits(Mapping[str, Sequence[Example]]):
    """A run's own examples by split, prepared when a task first reads them. Another run `beside` it is to share them:
    then reading raises Refused where it does not."""

    def __init__(self, opened: Opened, beside: Opened | None = None) -> None:
        self._opened, self._beside = opened, beside

    @cached_property
    def _found(self) -> dict[str, list[Example]]:
        if self._beside:
            one_split(self._opened, self._beside)
        return splits_of(self._opened) if self._opened.run else {}

    def __getitem__(self, split: str) -> Sequence[Example]:
        return self._found[split]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def one_split(first: Opened, second: Opened) -> None:
    """Raises Refused for two runs that were not trained on the same data and split."""
    keys = [
        (each.lock["data"], each.lock["recipe"]["data"], each.lock["recipe"]["train"]["seed"])
        for each in (first, second)
        if each.run
    ]
    if any(key != keys[0] for key in keys):
        raise Refused(
            "the two runs were not trained on the same data and split",
            why="the test rows of one may be training rows of the other",
            instead="give items neither has seen with --on FILE",
        )


def hall(opened: Opened, root: Path, offline: bool, say: Say) -> Hall:
    """What every task is given for this model; each then gets its own folder."""
    near = reach(root, offline, say)
    labels = opened.labels if opened.run and opened.objective.head == "labels" else ()
    seed = opened.recipe.train.seed if opened.recipe else 0
    return Hall(
        seed=seed,
        open=near.open,
        fetch=near.fetch,
        splits=OwnSplits(opened),
        labels=labels,
        progress=say.progress,
    )


def divided(named: Named, by: tuple[str, ...]) -> Named:
    """The task with further columns to group by. Raises Refused for a task that has no columns."""
    if not by:
        return named
    if not isinstance(named.task, Bank):
        raise Refused(
            f"the task {named.label} cannot be divided by {by[0]}",
            why="it is no bank of rows with columns",
            instead="leave out --by",
        )
    columns = tuple(dict.fromkeys((*named.task.by, *by)))
    return replace(named, task=named.task.model_copy(update={"by": columns}))


def halls(first: Opened, second: Opened, root: Path, offline: bool, say: Say) -> tuple[Hall, Hall]:
    """What every task is given for two models so that both are asked the same: the seed and the examples of the second,
    of the first where that one alone is a run."""
    leads = second if second.run else first
    own = hall(leads, root, offline, say)
    splits = OwnSplits(leads, first if leads is second else second)
    one, two = (replace(hall(each, root, offline, say), seed=own.seed, splits=splits) for each in (first, second))
    return one, two


def askable(opened: Opened, named: Named) -> None:
    """Raises Refused for a task that this model cannot be asked, as far as that shows before it is."""
    if why := _objection(opened, named.task):
        raise Refused(f"{opened.name} cannot be put to the task {named.label}", why=why)


def put(opened: Opened, named: Named, given: Hall) -> Tested:
    """What the model did with the task. Raises Refused where it cannot be asked so."""
    askable(opened, named)
    return named.task.ask(opened.model, replace(given, folder=named.folder))


def _objection(opened: Opened, task: Task) -> str:
    """Why a bank of questions cannot be put to this model, in a sentence; empty where it can, and for other tasks,
    which know better themselves."""
    if not isinstance(task, Bank):
        return ""
    if task.costs == "scores" and (why := unscored(opened.model)):
        return f"the task compares log-probabilities: {why}"
    reads = opened.objective.reads if opened.run else opened.reads
    head = opened.objective.head
    if head == "labels" and task.name == "classification":
        return "" if opened.objective.exclusive else "of its labels several may be right, and the task has one"
    if head != "words":
        return f"it ends in a head of {head}, and the task needs words"
    if reads in ("both", "order"):
        return "it fills gaps from both sides, and the task needs a model that goes on from a text"
    if reads == "source" and task.form != "source":
        return "it reads a source and writes a result: write `form: source` in the task"
    return ""


def told(tested: Tested, named: Named, alpha: float, seed: int) -> dict[str, Any]:
    """{"task", "items", "metrics": {name: {value, low, high, n}}, "slices": {grouping: {group: {items, metrics}}},
    "notes", "shown"}."""
    slices: dict[str, dict[str, Any]] = {}
    for grouping, group, part in parts(tested):
        numbers = plain(measured(part, named.task, alpha, seed))
        slices.setdefault(grouping, {})[group] = {"items": len(part), "metrics": numbers}
    return {
        "task": named.task.name,
        "items": len(tested),
        "metrics": plain(measured(tested, named.task, alpha, seed)),
        "slices": slices,
        "notes": list(tested.notes),
        "shown": [dict(each) for each in tested.shown[:SHOWN]],
    }


def plain(found: Mapping[str, Estimate]) -> dict[str, Any]:
    """Estimates as plain data."""
    return {name: each.as_dict() for name, each in found.items()}
