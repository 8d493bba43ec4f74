"""What moved between two models' answers to a run's suites, paired item by item."""

from collections.abc import Mapping
from typing import Any

from affina.core.gate import Gate
from affina.core.task import Task, Tested
from affina.evaluation.compare import Difference, adjusted
from affina.evaluation.suite import Suites, distances
from affina.evaluation.task_slices import judged, parted
from affina.evaluation.tasked import differences, differing, measured


def moved(task: Task, before: Tested, after: Tested, gate: Gate, seed: int) -> dict[str, Any]:
    """{"about", "items", "statistics", "slices", "notes"}; of every statistic base, tuned, difference, p_adjusted,
    higher_is_better, ideal and unit.

    The difference is tuned - base on the same items; `p_adjusted` is corrected for the task's statistics, and in
    `slices` (see `task_slices`) for all of the task's slices.
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
    slices = judged({"": parted(task, before, after, gate, seed)}, gate, ("base", "tuned"))[""]
    return {"about": about, "items": len(after), "statistics": statistics, "slices": slices, "notes": notes}


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
