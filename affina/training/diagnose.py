"""One line on how a training run went: diverged, stalled, overfitted, stopped too soon or fine, with the evidence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from affina.core.kinds import Floats

Condition = Literal["diverged", "stalled", "overfitted", "stopped too soon", "fine"]

FEWEST_STEPS = 5
"""Below this many optimizer steps a curve says nothing but whether it broke."""
FEWEST_READINGS = 6
"""Below this many readings a curve's noise cannot be told from its course."""
WORSE = 1.1
"""A training loss this many times its start has diverged; noise of one batch is averaged out before."""
OVERFIT = 0.03
"""Share of its best by which the last two validation losses must exceed it to be called overfitting."""
MOVED = 0.02
"""Share of its start by which a loss must fall not to be called stalled."""
FALLING = 0.02
"""Share by which the last quarter of the run still lowered the loss when it ended too soon."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How a run went, and the sentence that says on what evidence and which setting to move."""

    verdict: Condition
    sentence: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Curve:
    """A loss by step; `noise` is the standard deviation of one reading around the smooth course."""

    steps: tuple[int, ...]
    losses: Floats

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def noise(self) -> float:
        """From second differences, which a smooth trend leaves near zero and noise gives a variance of 6·noise²
        (Gasser et al., 1986). Their median, so that one turn of the curve is no noise; 0.6745 is a normal's median."""
        if len(self) < FEWEST_READINGS:
            return 0.0
        return float(np.median(np.abs(np.diff(self.losses, 2))) / (0.6745 * math.sqrt(6)))

    def mean(self, start: float, stop: float) -> float:
        """The mean loss between two shares of the run, over one reading at least."""
        first = min(int(start * len(self)), len(self) - 1)
        return float(self.losses[first : max(first + 1, round(stop * len(self)))].mean())

    def error(self, share: float) -> float:
        """The standard error of a mean over this share of the run."""
        return self.noise / math.sqrt(max(1.0, share * len(self)))


def diagnose(events: Sequence[Mapping[str, Any]], steps_planned: int, stopped_early: bool) -> Diagnosis:
    """The verdict on a run from its `learn` and `validate` events, each with `step` and `loss`.

    `stopped_early` says that patience ran out. Thresholds are relative to the losses and to the curve's own noise.
    """
    broken = next((event for event in events if _is_broken(event)), None)
    if broken is not None:
        return Diagnosis(
            "diverged", f"diverged: the loss was not a number at step {broken['step']}; lower train.learning_rate"
        )
    learned, validated = _curve(events, "learn"), _curve(events, "validate")
    if not len(learned):
        return Diagnosis("stopped too soon", "stopped too soon: no step was taken; raise train.steps")
    return (
        _diverged(learned)
        or _too_short(learned, steps_planned, stopped_early)
        or _overfitted(learned, validated, stopped_early)
        or _stalled(learned, validated)
        or _still_falling(learned, validated, stopped_early)
        or _fine(learned, validated, stopped_early)
    )


def _is_broken(event: Mapping[str, Any]) -> bool:
    """Whether the event has a loss that is not a finite number; JSON writes such a one as null."""
    loss = event.get("loss", 0.0)
    return event["kind"] in ("learn", "validate") and (loss is None or not math.isfinite(loss))


def _curve(events: Sequence[Mapping[str, Any]], kind: str) -> _Curve:
    chosen = [event for event in events if event["kind"] == kind and "loss" in event]
    return _Curve(tuple(event["step"] for event in chosen), np.array([event["loss"] for event in chosen], np.float64))


def _diverged(learned: _Curve) -> Diagnosis | None:
    start, end = learned.mean(0, 0.1), learned.mean(0.9, 1)
    lowest = min(learned.mean(tenth / 10, (tenth + 1) / 10) for tenth in range(10))
    # A run that first learned may blow up and still end near its start: half of what it had gained is gone.
    lost = end > start * WORSE or (end > lowest * 1.5 and end - lowest > 0.5 * (start - lowest))
    if len(learned) < 2 or not lost or end - lowest <= 4 * learned.error(0.1):
        return None
    return Diagnosis(
        "diverged",
        f"diverged: the training loss went from {start:.3g} (lowest {lowest:.3g}) up to {end:.3g} at step "
        f"{learned.steps[-1]}; lower train.learning_rate to a third, or lengthen the schedule's warm-up",
    )


def _too_short(learned: _Curve, steps_planned: int, stopped_early: bool) -> Diagnosis | None:
    last = learned.steps[-1]
    if last < steps_planned and not stopped_early:
        return Diagnosis(
            "stopped too soon",
            f"stopped too soon: it ended at step {last} of {steps_planned}; train again to resume it",
        )
    if last < FEWEST_STEPS:
        return Diagnosis(
            "stopped too soon",
            f"stopped too soon: {last} {'step is' if last == 1 else 'steps are'} too few to judge a curve by; "
            f"raise train.epochs or train.steps, or lower train.batch",
        )
    return None


def _overfitted(learned: _Curve, validated: _Curve, stopped_early: bool) -> Diagnosis | None:
    place = int(validated.losses.argmin()) if len(validated) else 0
    after = validated.losses[place + 1 :][-2:]
    if not len(after):
        return None
    best, last = float(validated.losses[place]), float(validated.losses[-1])
    rise, fell = float(after.min()) - best, learned.mean(0.75, 1) <= learned.mean(0, 0.25)
    if rise <= max(OVERFIT * best, 3 * validated.noise) or not fell:
        return None
    ended = "stopped" if stopped_early else "ended"
    return Diagnosis(
        "overfitted",
        f"overfitted: the validation loss was best at step {validated.steps[place]} ({best:.3g}) and {last:.3g} when "
        f"it {ended} at step {validated.steps[-1]}, while the training loss fell to {learned.mean(0.75, 1):.3g}; "
        f"the best checkpoint is kept; lower train.epochs or train.learning_rate, or add data",
    )


def _stalled(learned: _Curve, validated: _Curve) -> Diagnosis | None:
    first, start, end = learned.mean(0, 0.1), learned.mean(0, 0.25), learned.mean(0.75, 1)
    # A fast run makes most of its way within the first quarter, and then the first tenth or the validations show it.
    quarters = start - end > max(MOVED * start, 3 * math.sqrt(2) * learned.error(0.25))
    tenth = first - end > max(MOVED * first, 4 * learned.error(0.1))
    if quarters or tenth or _validation_moved(validated):
        return None
    return Diagnosis(
        "stalled",
        f"stalled: the training loss was {start:.3g} in the first quarter and {end:.3g} in the last "
        f"({len(learned)} steps); raise train.learning_rate threefold, or choose a tuning that moves more weights",
    )


def _validation_moved(validated: _Curve) -> bool:
    """Whether the validations after the first are clearly below it; they are few, so their noise is known badly."""
    if len(validated) < 2:
        return False
    first, later = float(validated.losses[0]), float(np.median(validated.losses[1:]))
    return first - later > max(2 * MOVED * first, 5 * validated.noise)


def _still_falling(learned: _Curve, validated: _Curve, stopped_early: bool) -> Diagnosis | None:
    if stopped_early:
        return None
    if len(validated) >= 3:
        what, curve = "validation", validated
        place = max(0, len(curve) - 1 - max(1, len(curve) // 4))
        before, end, step = float(curve.losses[place]), float(curve.losses[-1]), curve.steps[place]
        falls = curve.losses.argmin() == len(curve) - 1
        error = math.sqrt(2) * curve.noise
    else:
        what, curve = "training", learned
        before, end, step = curve.mean(0.5, 0.75), curve.mean(0.75, 1), curve.steps[int(0.75 * len(curve))]
        falls, error = True, math.sqrt(2) * curve.error(0.25)
    if not falls or before - end <= max(FALLING * before, 2 * error):
        return None
    return Diagnosis(
        "stopped too soon",
        f"stopped too soon: the {what} loss was still falling at the end, from {before:.3g} around step {step} to "
        f"{end:.3g} at step {curve.steps[-1]}; raise train.epochs or train.steps",
    )


def _fine(learned: _Curve, validated: _Curve, stopped_early: bool) -> Diagnosis:
    if not len(validated):
        start, end = learned.mean(0, 0.1), learned.mean(0.9, 1)
        sentence = (
            f"fine: the training loss fell from {start:.3g} to {end:.3g} in {learned.steps[-1]} steps and levelled"
        )
        return Diagnosis("fine", f"{sentence}; nothing to move (a validation split would say more)")
    place = int(validated.losses.argmin())
    best = f"the validation loss was best at step {validated.steps[place]} ({validated.losses[place]:.3g})"
    ended = "patience ran out" if stopped_early else "it levelled"
    return Diagnosis("fine", f"fine: {best} and {ended} by step {learned.steps[-1]}; nothing to move")
