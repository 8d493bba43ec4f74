"""Two models by slices: items in groups (a column, their class, their length), and each group's paired difference.

Axes: N items.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affina.core.answers import Answers
from affina.core.errors import Refused, nearest
from affina.core.example import Example
from affina.core.gate import Gate
from affina.core.kinds import Metric
from affina.evaluation.compare import Difference, compare
from affina.evaluation.measure import finite
from affina.evaluation.slices import grouped, places_of, quarters
from affina.evaluation.statistics import fewest, holm

EMPTY = "(empty)"


@dataclass(frozen=True, slots=True)
class Slice:
    """One group of items: the metric of both models and b - a there."""

    by: str
    group: str
    a: float
    b: float
    difference: Difference
    p_adjusted: float | None
    """Holm's, over all slices of enough items to find anything in; None where there are too few."""
    found: str
    """"worse", "better", "no difference shown", "too few items" or "no value"."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data; what is not a finite number is None, which JSON can hold."""
        numbers = {"a": finite(self.a), "b": finite(self.b), "p_adjusted": self.p_adjusted}
        return {"by": self.by, "group": self.group, "found": self.found, **numbers} | {
            "difference": self.difference.as_dict()
        }


def regressions(
    a: Answers, b: Answers, metric: Metric, groupings: Mapping[str, Sequence[str]], gate: Gate, seed: int
) -> list[Slice]:
    """Every group's difference in one metric, those that got worse first, then from the lowest to the highest.

    `groupings` give by name the group of each of a's items; one of a single item is left out. The p of all groups are
    corrected together (Holm, 1979).
    """
    made, metric = [], metric.settled(a)
    for by, groups_N in groupings.items():
        for group in (group for group, items in Counter(groups_N).items() if items > 1):
            index_N = places_of(groups_N, group)
            here, there = a.take(index_N), b.take(index_N)
            difference = compare(here, there, [metric], gate.alpha, gate.power, seed)[metric.name]
            made.append((by, group, metric.value(here), metric.value(there), difference))
    judged = called([each[-1] for each in made], gate)
    found = [Slice(*each, *outcome) for each, outcome in zip(made, judged, strict=True)]
    return sorted(found, key=lambda each: (each.found != "worse", not each.difference.comparable, _gain(each)))


def groupings(examples: Sequence[Example], answers: Answers, by: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """The group of every answered item by each kept column of `by`, by class where items have one, and by quarter of
    the length, in characters, of what is given. Raises Refused for a column that was not kept."""
    known = {example.id: example for example in examples}
    shown = [known.get(id) or known[id.rpartition("#")[0]] for id in answers.ids]  # a long text is several rows
    found = {column: _kept(shown, column) for column in by}
    if answers.target_N is not None:
        found["class"] = tuple(answers.labels[code] for code in answers.target_N)
    found["length"] = quarters([len(example.given) for example in shown])
    return {name: groups_N for name, groups_N in found.items() if len(set(groups_N)) > 1}


def called(differences: Sequence[Difference], gate: Gate) -> list[tuple[float | None, str]]:
    """Of every group's difference its p, corrected for all groups of enough items, and what that shows in words."""
    least = fewest(gate.alpha)
    tested = [n for n, each in enumerate(differences) if each.comparable and each.n >= least]
    adjusted = dict(zip(tested, holm([differences[n].p for n in tested]), strict=True))
    return [(adjusted.get(n), shows(each, adjusted.get(n), gate.alpha)) for n, each in enumerate(differences)]


def shows(difference: Difference, adjusted: float | None, alpha: float) -> str:
    """What a difference with this corrected p is called; without one it is of too few items."""
    if not difference.comparable:
        return "no value"
    if adjusted is None:
        return "too few items"
    if adjusted > alpha or not difference.better:
        return "no difference shown"
    return "better" if difference.better > 0 else "worse"


def _gain(each: Slice) -> float:
    return each.difference.better if each.difference.comparable else 0.0


def _kept(examples: Sequence[Example], column: str) -> tuple[str, ...]:
    found = tuple(example.facts.get(column, "") for example in examples)
    if not any(found):
        kept = sorted({name for example in examples for name, value in example.facts.items() if value})
        instead = nearest(column, kept) if kept else "name a column of the data"
        raise Refused(f"the items have no column '{column}' to be divided by", instead=instead)
    return grouped([value or EMPTY for value in found])
