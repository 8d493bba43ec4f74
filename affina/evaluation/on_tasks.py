"""Two models on the same tasks: what moved in every statistic, whole and by slices, all of it corrected together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affina.core.errors import Refused
from affina.core.gate import Gate
from affina.core.kinds import tasks
from affina.core.run import Run
from affina.core.task import Hall, Task, Tested
from affina.evaluation.compare import adjusted
from affina.evaluation.open import Opened
from affina.evaluation.put import askable, divided, put
from affina.evaluation.regressions import shows
from affina.evaluation.suite import FOUND, TUNED, restored
from affina.evaluation.task_file import Named, distinct, is_task, tasks_of
from affina.evaluation.task_slices import judged, parted
from affina.evaluation.tasked import differences, measured, paired


@dataclass(frozen=True, slots=True)
class Items:
    """What two models are compared on: tasks, one file of examples, or with neither a run's test split."""

    on: str | Sequence[str] | None = None
    """As `evaluate` takes it."""
    by: tuple[str, ...] = ()
    """Columns that divide the items into slices."""
    trust: bool = False
    """Whether a Python file that defines a task may run."""

    @property
    def named(self) -> list[str]:
        return [self.on] if isinstance(self.on, str) else list(self.on or ())


@dataclass(frozen=True, slots=True)
class Both:
    """A task, and what two models did with it."""

    task: Task
    a: Tested
    b: Tested


def tasks_among(items: Items) -> list[Named]:
    """The tasks that are named, labels distinct; none for a file of examples. Raises Refused for both at once, and for
    two files."""
    files = [each for each in items.named if not is_task(each)]
    if files and len(items.named) > 1:
        raise Refused(
            "two models are compared on tasks, or on one file of examples",
            why=f"{files[0]} is no task, and {len(items.named) - 1} more are named",
            instead="compare on one at a time",
        )
    found = [] if files else [each for name in items.named for each in tasks_of(name, items.trust)]
    return distinct([divided(each, items.by) for each in found])


def on_tasks(
    both: tuple[Opened, Opened], named: Sequence[Named], given: tuple[Hall, Hall], gate: Gate
) -> dict[str, Any]:
    """{label: {"task", "items", "statistics", "slices", "notes"}}; see `told`.

    Raises Refused, before anything is asked, for a task that one of the two cannot be put to.
    """
    for each in named:
        for opened in both:
            askable(opened, each)
    found = {}
    for each in named:
        a, b = (put(opened, each, hall) for opened, hall in zip(both, given, strict=True))
        found[each.label] = Both(each.task, a, b)
    return told(found, gate, given[0].seed)


def told(found: Mapping[str, Both], gate: Gate, seed: int) -> dict[str, Any]:
    """Of every task its statistics, {name: {a, b, difference, p_adjusted, found, higher_is_better, ideal, unit}}, and
    its slices, those that got worse first (see `task_slices`).

    The p of all statistics of all tasks are corrected together (Holm, 1979), and so are those of all slices. Raises
    Refused, naming the task, where the two were put to other items.
    """
    moved, slices = dict[str, Any](), dict[str, Any]()
    for label, each in found.items():
        try:
            moved[label] = differences(each.a, each.b, each.task, gate.alpha, gate.power, seed)
        except Refused as error:
            raise Refused(f"the task {label} cannot be compared: {error.what}", error.why, error.instead) from error
        slices[label] = parted(each.task, each.a, each.b, gate, seed)
    together = adjusted({(label, name): one for label, every in moved.items() for name, one in every.items()})
    divided = judged(slices, gate, ("a", "b"))
    made: dict[str, Any] = {}
    for label, each in found.items():
        values = [measured(tested, each.task, gate.alpha, seed) for tested in (each.a, each.b)]
        statistics = {
            name: {
                "a": values[0][name].as_dict(),
                "b": values[1][name].as_dict(),
                "difference": moved[label][name].as_dict(),
                "p_adjusted": together[label, name],
                "found": shows(moved[label][name], together[label, name], gate.alpha),
                "higher_is_better": one.higher_is_better,
                "ideal": one.ideal,
                "unit": one.unit,
            }
            for name, one in each.task.statistics().items()
        }
        notes = [*dict.fromkeys((*each.a.notes, *each.b.notes))]
        made[label] = {"task": each.task.name, "items": len(each.a), "statistics": statistics}
        made[label] |= {"slices": divided[label], "notes": notes}
    return made


def kept_by_both(first: Opened, second: Opened, gate: Gate, seed: int) -> tuple[dict[str, Any], list[str]]:
    """The suites that two runs kept, as `told`, and a sentence on each that is not compared; nothing of a base."""
    if first.run is None or second.run is None:
        return {}, []
    runs = (first.run, second.run)
    kept = [run.read(TUNED, {"suites": {}}) for run in runs]
    if lacking := next((run for run, each in zip(runs, kept, strict=True) if not each["suites"]), None):
        none = f"no suite is compared: {lacking.name} kept no answers to any. name tasks with --on"
        return {}, [none] if any(each["suites"] for each in kept) else []
    found, apart = dict[str, Both](), []
    for name in dict.fromkeys((*kept[0]["suites"], *kept[1]["suites"])):
        try:
            found[name] = _kept(name, runs, kept)
        except Refused as error:
            apart.append(str(error))
    return told(found, gate, seed), apart


def _kept(name: str, runs: tuple[Run, Run], kept: Sequence[Mapping[str, Any]]) -> Both:
    """What both runs kept of a suite, in one order. Raises Refused where it is not known to be of the same items."""
    what = f"suite {name} is not compared"
    for run, each in zip(runs, kept, strict=True):
        if name not in each["suites"]:
            raise Refused(what, f"{run.name} kept no answers to it", "name its task with --on")
    asked = [each.get("asked", {}).get(name) for each in kept]
    if asked[0] is None or asked[0] != asked[1]:
        raise Refused(what, "the two runs asked it with other settings or files", "name its task with --on")
    a, b = paired(*(restored(each["suites"][name]) for each in kept))
    return Both(tasks.build(runs[1].read(FOUND)[name]["task"]), a, b)
