"""A run's suites: tasks by what they are called in it, and what they gave kept as columns. Nothing here computes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affina.core.task import Statistic, Task, Tested

BASE, TUNED, FOUND = "suites.base.json", "suites.tuned.json", "suites.json"
"""Files of a run: what the base and the tuned model did with every item, and what moved between them."""
Suites = Mapping[str, Task]
"""Tasks by what they are called in a run."""


def called(tasks: Sequence[Task]) -> dict[str, Task]:
    """Each task under its own name; a second one of that name is called `name_2`."""
    found: dict[str, Task] = {}
    for task in tasks:
        alike = sum(each.name == task.name for each in found.values())
        found[f"{task.name}_{alike + 1}" if alike else task.name] = task
    return found


def plain(tested: Tested) -> dict[str, Any]:
    """As JSON holds it: NaN, where an item says nothing, is null."""
    columns = {
        name: [number if math.isfinite(number) else None for number in column.tolist()]
        for name, column in tested.columns.items()
    }
    slices = {name: list(groups_N) for name, groups_N in tested.slices.items()}
    shown = [dict(each) for each in tested.shown]
    return {
        "ids": list(tested.ids), "columns": columns, "slices": slices, "shown": shown, "notes": list(tested.notes),
    }  # fmt: skip


def restored(kept: Mapping[str, Any]) -> Tested:
    """The inverse of `plain`."""
    return Tested(
        tuple(kept["ids"]),
        {name: np.array(column, dtype=np.float64) for name, column in kept["columns"].items()},
        tuple(kept["shown"]),
        {name: tuple(groups_N) for name, groups_N in kept["slices"].items()},
        tuple(kept["notes"]),
    )


def directions(suites: Suites) -> dict[str, bool]:
    """Of every `suite.statistic`, whether more is better; of a distance from an ideal less is."""
    return {
        f"{suite}.{name}": each.higher_is_better
        for suite, task in suites.items()
        for name, each in distances(task.statistics()).items()
    }


def distances(statistics: Mapping[str, Statistic]) -> dict[str, Statistic]:
    """The same numbers with those that have an ideal as their distance from it, lower being better: for a gate, whose
    interval must be that of the distance."""
    return {name: each if each.ideal is None else _distance(each, each.ideal) for name, each in statistics.items()}


def _distance(statistic: Statistic, ideal: float) -> Statistic:
    return Statistic(
        lambda columns: abs(statistic.value(columns) - ideal),
        higher_is_better=False,
        unit=statistic.unit,
        distance_of=statistic,
    )
