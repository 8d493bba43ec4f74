"""The verdict: from paired differences to promote, reject or not enough data, with the reasons in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from affina.core.errors import Refused
from affina.core.gate import Gate, Rule
from affina.core.kinds import Metric
from affina.evaluation.compare import MEANS, OTHER_TOKENS, Difference
from affina.evaluation.measure import finite
from affina.evaluation.statistics import fewest, n_needed

Decision = Literal["promote", "reject", "not enough data"]
Outcome = Literal["holds", "fails", "open"]


@dataclass(frozen=True, slots=True)
class Standard:
    """A model that the tuned one is held against: as sentences call it, and tuned - it in every metric."""

    said: str
    differences: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided and why. The numbers are those of the first rule: tuned - standard in the metric's own units."""

    decision: Decision
    reasons: tuple[str, ...]
    metric: str
    difference: float
    low: float
    high: float
    n_needed: int | None
    """Items that would settle every open rule; given with `not enough data`."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data; what is not a finite number is None, which JSON can hold."""
        numbers = {key: finite(getattr(self, key)) for key in ("difference", "low", "high", "n_needed")}
        return {**asdict(self), "reasons": list(self.reasons), **numbers}


@dataclass(frozen=True, slots=True)
class _Ruling:
    """Whether one rule holds, its sentence, and the items that would settle it where it is open."""

    outcome: Outcome
    reason: str
    needed: int | None = None


def rising(metrics: Sequence[Metric]) -> dict[str, bool]:
    """Of each metric, by name, whether more is better."""
    return {metric.name: metric.higher_is_better for metric in metrics}


def judge(gate: Gate, standards: Mapping[str, Standard], better_up: Mapping[str, bool]) -> Verdict:
    """Promotes when every rule holds with confidence, rejects when one fails, and else says how many items it takes.

    `standards` are by what a rule names (`base` is always there), `better_up` says of every measured name whether more
    is better; without rules its first must be better than the base. Below `fewest` items nothing is decided, but of
    means of items, whose own spread tells how sure they are. As all rules must hold together, no correction for their
    number is due (Berger, 1982: intersection–union tests). Raises Refused for a rule on an unmeasured name.
    """
    rules = gate.judged(next(iter(better_up)))
    rulings = []
    for rule in rules:
        standard = standards[rule.against]
        if rule.metric not in better_up or rule.metric not in standard.differences:
            raise Refused(
                f"the gate asks for {rule.metric}, which is not measured",
                instead=f"add {rule.metric} to evaluate.metrics, or take it out of evaluate.gate",
            )
        rulings.append(_ruling(gate, rule, standard, better_up[rule.metric]))
    outcomes = {ruling.outcome for ruling in rulings}
    decision: Decision = "reject" if "fails" in outcomes else "not enough data" if "open" in outcomes else "promote"
    open_needs = [ruling.needed for ruling in rulings if ruling.outcome == "open"]
    known = [needed for needed in open_needs if needed is not None]
    settled = max(known) if decision == "not enough data" and len(known) == len(open_needs) else None
    first = standards[rules[0].against].differences[rules[0].metric]
    reasons = tuple(ruling.reason for ruling in rulings)
    return Verdict(decision, reasons, rules[0].metric, first.value, first.low, first.high, settled)


def _ruling(gate: Gate, rule: Rule, standard: Standard, up: bool) -> _Ruling:
    found = standard.differences[rule.metric]
    if not found.comparable:
        return _Ruling("fails", f"{_incomparable(found, rule.metric)}; name another metric in evaluate.gate")
    low, high = (found.low, found.high) if up else (-found.high, -found.low)
    said = _sentence(gate, found, rule.metric)
    if found.method != MEANS and found.n < (least := fewest(gate.alpha)):
        needed = n_needed(found.n, found.detectable, rule.tolerance or gate.margin)
        few = f"what fewer than {least} items show may be chance, even where they all agree"
        reason = f"{said}: not judged beside {standard.said}, since {few}"
        return _Ruling("open", reason, None if needed is None else max(least, needed))
    if rule.tolerance is None:
        return _better(gate, found, (low, high), (said, standard.said))
    return _not_worse(gate, found, (low, high), (said, standard.said), rule.tolerance)


def _better(gate: Gate, found: Difference, ends: tuple[float, float], words: tuple[str, str]) -> _Ruling:
    """Superiority: the worse end above 0. `ends` are in the direction of better."""
    (low, high), (said, standard), margin = ends, words, f"the margin of {gate.margin:g}"
    if low > 0:
        return _Ruling("holds", f"{said}: better than {standard}")
    if high < 0:
        return _Ruling("fails", f"{said}: worse than {standard}")
    if found.detectable > gate.margin and low <= gate.margin <= high:
        needed = n_needed(found.n, found.detectable, gate.margin)
        more = f"about {needed:,} items would show {margin}" if needed else f"more items are needed to judge {margin}"
        shows = f"{found.n:,} items show with power {gate.power:g} only a difference of {found.detectable:.3g} or more"
        return _Ruling("open", f"{said}: not shown to be better than {standard}, since {shows}; {more}", needed)
    if high < gate.margin:
        below = f"even the better end is below {margin}"
        return _Ruling("fails", f"{said}: no worthwhile difference to {standard}, since {below}")
    seen = f"{found.n:,} items would have shown {margin} with power {gate.power:g}"
    return _Ruling("fails", f"{said}: not better than {standard}, though {seen}")


def _not_worse(
    gate: Gate, found: Difference, ends: tuple[float, float], words: tuple[str, str], tolerance: float
) -> _Ruling:
    """Non-inferiority: the worse end above -tolerance, which one-sided is a test at α/2."""
    (low, high), (said, standard) = ends, words
    if low > -tolerance:
        return _Ruling("holds", f"{said}: not worse than {standard} by {tolerance:g}")
    if high < -tolerance:
        return _Ruling("fails", f"{said}: worse than {standard} by more than {tolerance:g}")
    if found.detectable > tolerance:
        needed = n_needed(found.n, found.detectable, tolerance)
        more = f"about {needed:,} items" if needed else "more items"
        shown = f"{more} would show it with power {gate.power:g} where there is no difference"
        return _Ruling("open", f"{said}: it may be worse than {standard} by {tolerance:g}; {shown}", needed)
    seen = f"{found.n:,} items would have shown it with power {gate.power:g} where there is no difference"
    return _Ruling("fails", f"{said}: not shown to be within {tolerance:g} of {standard}, though {seen}")


def _sentence(gate: Gate, found: Difference, metric: str) -> str:
    went = "rose" if found.value > 0 else "fell"
    amount = f"{went} by {abs(found.value):.3g}" if found.value else "did not move"
    interval = f"{100 * (1 - gate.alpha):g} % interval {found.low:+.3g} to {found.high:+.3g}"
    return f"{metric} {amount} ({interval}, {found.n:,} items)"


def _incomparable(found: Difference, metric: str) -> str:
    return f"{metric} is {found.method}" if found.method == OTHER_TOKENS else f"{metric} has no value on these items"
