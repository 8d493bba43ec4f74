"""The verdict: from paired differences to promote, reject or not enough data, with the reasons in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from affina.core.errors import Refused
from affina.core.kinds import Metric
from affina.core.recipe import Gate
from affina.evaluation.compare import Difference
from affina.evaluation.measure import finite
from affina.evaluation.statistics import n_needed

Decision = Literal["promote", "reject", "not enough data"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided, on which metric, and why. The numbers are tuned - base in the metric's own units."""

    decision: Decision
    reasons: tuple[str, ...]
    metric: str
    difference: float
    low: float
    high: float
    n_needed: int | None
    """Items that would show a difference of the margin; given with `not enough data`."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data; what is not a finite number is None, which JSON can hold."""
        numbers = {key: finite(getattr(self, key)) for key in ("difference", "low", "high", "n_needed")}
        return {**asdict(self), "reasons": list(self.reasons), **numbers}


def judge(gate: Gate, differences: Mapping[str, Difference], metrics: Sequence[Metric]) -> Verdict:
    """Promotes when the first rule's metric is better with confidence and every other rule holds too.

    The first rule is the gate's first metric, or the first of `metrics`. All rules must hold together, so no correction
    for their number is due (Berger, 1982: intersection–union tests). Raises Refused for a rule on an unmeasured metric.
    """
    known = {metric.name: metric for metric in metrics}
    rules = list(gate.rules) or [metrics[0].name]
    for name in rules:
        if name not in known or name not in differences:
            raise Refused(
                f"the gate asks for {name}, which is not measured",
                instead=f"add {name} to evaluate.metrics, or take it out of evaluate.gate",
            )
    first = rules[0]
    decision, reason = _first(gate, differences[first], known[first])
    reasons = [reason]
    for name in rules[1:]:
        holds = _sided(differences[name], known[name])[0] > 0
        reasons.append(
            f"{_sentence(gate, differences[name], known[name])}: {'' if holds else 'not '}better than the base"
        )
        if decision == "promote" and not holds:
            decision = "reject"
    found = differences[first]
    needed = n_needed(found.n, found.detectable, gate.margin) if decision == "not enough data" else None
    return Verdict(decision, tuple(reasons), first, found.value, found.low, found.high, needed)


def _first(gate: Gate, found: Difference, metric: Metric) -> tuple[Decision, str]:
    """The decision on the metric that decides, and its sentence."""
    if not found.comparable:
        return "reject", f"{metric.name} is {found.method}; name another metric first in evaluate.gate"
    low, high = _sided(found, metric)
    said = _sentence(gate, found, metric)
    margin = f"the margin of {gate.margin:g}"
    if low > 0:
        return "promote", f"{said}: better than the base"
    if high < 0:
        return "reject", f"{said}: worse than the base"
    if found.detectable > gate.margin and low <= gate.margin <= high:
        needed = n_needed(found.n, found.detectable, gate.margin)
        more = f"about {needed:,} items would show {margin}" if needed else f"more items are needed to judge {margin}"
        shows = f"{found.n:,} items show with power {gate.power:g} only a difference of {found.detectable:.3g} or more"
        return "not enough data", f"{said}: undecided, since {shows}; {more}"
    if high < gate.margin:
        return "reject", f"{said}: no worthwhile difference, since even the better end is below {margin}"
    seen = f"{found.n:,} items would have shown {margin} with power {gate.power:g}"
    return "reject", f"{said}: not better than the base, though {seen}"


def _sided(found: Difference, metric: Metric) -> tuple[float, float]:
    """The interval in the direction of better."""
    return (found.low, found.high) if metric.higher_is_better else (-found.high, -found.low)


def _sentence(gate: Gate, found: Difference, metric: Metric) -> str:
    if not found.comparable:
        return f"{metric.name} is {found.method}"
    went = "rose" if found.value > 0 else "fell"
    amount = f"{went} by {abs(found.value):.3g}" if found.value else "did not move"
    interval = f"{100 * (1 - gate.alpha):g} % interval {found.low:+.3g} to {found.high:+.3g}"
    return f"{metric.name} {amount} ({interval}, {found.n:,} items)"
