"""A run's suites: tasks put to two models item by item, kept as columns, and what moved between the two."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affina.core.gate import Gate
from affina.core.task import Task, Tested
from affina.evaluation.compare import Difference, adjusted
from affina.evaluation.measure import finite
from affina.evaluation.tasked import differences, differing, distances, measured

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
    columns = {name: [finite(number) for number in column.tolist()] for name, column in tested.columns.items()}
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


def moved(task: Task, before: Tested, after: Tested, gate: Gate, seed: int) -> dict[str, Any]:
    """{"about", "items", "statistics", "notes"}; of every statistic base, tuned, difference, p_adjusted,
    higher_is_better, ideal and unit.

    The difference is tuned - base on the same items; `p_adjusted` is corrected for the task's statistics.
    """
    found = differences(before, after, task, gate.alpha, gate.power, seed)
    values, corrected = [measured(each, task, gate.alpha, seed) for each in (before, after)], adjusted(found)
    statistics = {
        name: {
            "base": values[0][name].as_dict(),
            "tuned": values[1][name].as_dict(),
            "difference": found[name].as_dict(),
            "p_adjusted": corrected[name],
            "higher_is_better": each.higher_is_better,
            "ideal": each.ideal,
            "unit": each.unit,
        }
        for name, each in task.statistics().items()
    }
    notes = list(dict.fromkeys((*before.notes, *after.notes)))
    about = " ".join((type(task).__doc__ or "").partition("\n\n")[0].split())
    return {"about": about, "items": len(after), "statistics": statistics, "notes": notes}


def judgeable(
    suites: Suites, before: Mapping[str, Tested], after: Mapping[str, Tested], gate: Gate, seed: int
) -> dict[str, Difference]:
    """What the gate's rules name as `suite.statistic`; one with an ideal counts as its distance from it."""
    design, found = (gate.alpha, gate.power, seed), dict[str, Difference]()
    for suite, task in suites.items():
        named = {f"{suite}.{name}": each for name, each in distances(task.statistics()).items()}
        asked = {name: each for name, each in named.items() if name in gate.rules}
        if asked and suite in before and suite in after:
            found |= differing(before[suite], after[suite], asked, design)
    return found


def directions(suites: Suites) -> dict[str, bool]:
    """Of every `suite.statistic`, whether more is better; of a distance from an ideal less is."""
    return {
        f"{suite}.{name}": each.higher_is_better
        for suite, task in suites.items()
        for name, each in distances(task.statistics()).items()
    }
