"""A task's statistics of two models by slices: both with intervals, what moved between them there, what got worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affina.core.gate import Gate
from affina.core.task import Statistic, Task, Tested
from affina.evaluation.compare import Difference
from affina.evaluation.measure import Estimate
from affina.evaluation.regressions import called
from affina.evaluation.slices import places_of
from affina.evaluation.tasked import differing, measuring, paired, taken
from affina.evaluation.tasked import parts as groups_of


@dataclass(frozen=True, slots=True)
class Part:
    """One group's items in one statistic: a, b, and b - a."""

    statistic: str
    by: str
    group: str
    a: Estimate
    b: Estimate
    difference: Difference


def parted(task: Task, a: Tested, b: Tested, gate: Gate, seed: int) -> list[Part]:
    """Every group of two items or more, of groupings that divide the items, in those statistics of `sliceable` that say
    anything of it."""
    a, b = paired(a, b)
    statistics, design, found = sliceable(task), (gate.alpha, gate.power, seed), []
    for by, group, here in groups_of(a):
        if len(set(a.slices[by])) > 1:
            there = taken(b, places_of(a.slices[by], group))
            values = [measuring(each, statistics, gate.alpha, seed) for each in (here, there)]
            moved = differing(here, there, statistics, design)
            known = [name for name in statistics if moved[name].comparable]
            found += [Part(name, by, group, values[0][name], values[1][name], moved[name]) for name in known]
    return found


def sliceable(task: Task) -> Mapping[str, Statistic]:
    """The statistic that decides, and those that are the mean of a column: what thousands of resamples of every group
    can be had for."""
    found = task.statistics()
    first = next(iter(found))
    return {name: each for name, each in found.items() if name == first or each.column}


def judged(found: Mapping[str, Sequence[Part]], gate: Gate, names: tuple[str, str]) -> dict[str, list[dict[str, Any]]]:
    """By task [{"statistic", "by", "group", the two models by their names, "difference", "p_adjusted", "found"}], those
    that got worse first. The p of all slices of all tasks are corrected together (Holm, 1979)."""
    outcomes = iter(called([part.difference for parts in found.values() for part in parts], gate))
    made = {}
    for task, parts in found.items():
        order = [*dict.fromkeys(part.statistic for part in parts)]
        told = [(part, *next(outcomes)) for part in parts]
        told.sort(key=lambda each: (each[2] != "worse", order.index(each[0].statistic), _rank(*each)))
        made[task] = [_plain(part, names) | {"p_adjusted": p, "found": said} for part, p, said in told]
    return made


def _rank(part: Part, p_adjusted: float | None, found: str) -> tuple[bool, float]:
    """From the lowest to the highest, then those of which nothing can be said."""
    return p_adjusted is None, part.difference.better


def _plain(part: Part, names: tuple[str, str]) -> dict[str, Any]:
    return {
        "statistic": part.statistic,
        "by": part.by,
        "group": part.group,
        names[0]: part.a.as_dict(),
        names[1]: part.b.as_dict(),
        "difference": part.difference.as_dict(),
    }
