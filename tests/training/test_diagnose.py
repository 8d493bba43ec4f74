"""The diagnosis of curves of each kind, smooth and noisy, short and long."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from affina.training.diagnose import diagnose

Curve = Callable[[float], float]
Events = list[dict[str, Any]]


def run(train: Curve, validation: Curve | None, steps: int, every: int, noise: float = 0.0, seed: int = 0) -> Events:
    """Events of a run whose losses are functions of the share done, each training reading with its noise."""
    draws, made = np.random.default_rng(seed), Events()
    for step in range(1, steps + 1):
        at = step / steps
        loss = train(at) * (1 + noise * draws.normal())
        made.append({"step": step, "kind": "learn", "loss": loss, "learning_rate": 1e-4})
        if validation and step % every == 0:
            # A validation averages many rows: a tenth of a batch's noise.
            made.append({"step": step, "kind": "validate", "loss": validation(at) * (1 + noise / 10 * draws.normal())})
    return made


def fall(at: float) -> float:
    return 0.5 + 2.0 * math.exp(-12 * at)


def fall_late(at: float) -> float:
    return 0.5 + 2.0 * math.exp(-1.2 * at)


def flat(at: float) -> float:
    return 2.5


def turn(at: float) -> float:
    return 0.8 + 1.5 * math.exp(-12 * at) + 0.8 * max(0.0, at - 0.4)


def memorise(at: float) -> float:
    return 2.0 * math.exp(-5 * at) + 0.02


def blow_up(at: float) -> float:
    return 2.0 * math.exp(-6 * at) + 0.4 + 9.0 * max(0.0, at - 0.7)


KINDS = [
    ("fine", fall, fall, False),
    ("fine", fall, fall, True),
    ("stalled", flat, flat, False),
    ("overfitted", memorise, turn, True),
    ("overfitted", memorise, turn, False),
    ("stopped too soon", fall_late, fall_late, False),
    ("diverged", blow_up, blow_up, False),
]


@pytest.mark.parametrize(("verdict", "train", "validation", "early"), KINDS)
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("steps", [40, 100, 1000])
def test_curves_of_each_kind_are_recognised_through_the_noise(
    verdict: str, train: Curve, validation: Curve, early: bool, noise: float, steps: int
) -> None:
    said = [diagnose(run(train, validation, steps, steps // 10, noise, seed), steps, early) for seed in range(20)]
    # Readings that scatter by a fifth hide what is small: then 17 of 20 must be right, otherwise all.
    assert sum(each.verdict == verdict for each in said) >= (17 if noise > 0.1 else 20), [
        each.sentence for each in said
    ]


@pytest.mark.parametrize(
    ("verdict", "train"), [("fine", fall), ("stalled", flat), ("stopped too soon", fall_late), ("diverged", blow_up)]
)
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_without_validations_the_training_loss_has_to_say_it(verdict: str, train: Curve, noise: float) -> None:
    for seed in range(20):
        found = diagnose(run(train, None, 200, 1, noise, seed), 200, False)
        assert found.verdict == verdict, found.sentence


@pytest.mark.parametrize("broken", [math.nan, math.inf, None])
@pytest.mark.parametrize("kind", ["learn", "validate"])
def test_a_loss_that_is_no_number_has_diverged_at_its_step(broken: float | None, kind: str) -> None:
    events = [*run(fall, fall, 20, 5), {"step": 21, "kind": kind, "loss": broken}]
    found = diagnose(events, 100, False)
    assert found.verdict == "diverged" and "step 21" in found.sentence and "learning_rate" in found.sentence


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_very_short_runs_are_too_short_to_judge(steps: int) -> None:
    found = diagnose(run(fall, fall, steps, 1), steps, False)
    assert found.verdict == "stopped too soon" and "too few" in found.sentence and "train.steps" in found.sentence


def test_a_very_short_run_can_still_have_diverged() -> None:
    events = [{"step": step, "kind": "learn", "loss": loss} for step, loss in enumerate([2.0, 9.0, 80.0], 1)]
    assert diagnose(events, 3, False).verdict == "diverged"


def test_no_step_at_all_is_said() -> None:
    assert diagnose([], 10, False).sentence == "stopped too soon: no step was taken; raise train.steps"


def test_an_interrupted_run_says_where_it_ended() -> None:
    found = diagnose(run(fall, fall, 30, 5), 100, False)
    assert found.verdict == "stopped too soon" and "step 30 of 100" in found.sentence


def test_patience_that_ran_out_before_the_plan_is_no_interruption() -> None:
    assert diagnose(run(fall, fall, 60, 6), 100, True).verdict == "fine"


def test_three_worse_validations_in_a_short_run_are_overfitting() -> None:
    events = run(memorise, None, 24, 1)
    for step, loss in ((6, 1.4), (12, 1.1), (18, 1.3), (24, 1.6)):
        events.append({"step": step, "kind": "validate", "loss": loss})
    found = diagnose(events, 60, True)
    assert found.verdict == "overfitted"
    assert "best at step 12 (1.1)" in found.sentence and "1.6 when it stopped at step 24" in found.sentence


def test_a_last_reading_a_little_off_is_not_overfitting() -> None:
    events = run(fall, None, 50, 1)
    for step, loss in ((10, 1.0), (20, 0.8), (30, 0.75), (40, 0.745), (50, 0.75)):
        events.append({"step": step, "kind": "validate", "loss": loss})
    assert diagnose(events, 50, False).verdict == "fine"


def test_the_sentence_is_one_line_that_starts_with_the_verdict() -> None:
    for verdict, train, validation, early in KINDS:
        found = diagnose(run(train, validation, 100, 10), 100, early)
        assert found.sentence.startswith(f"{verdict}: ") and "\n" not in found.sentence
        assert found.as_dict() == {"verdict": verdict, "sentence": found.sentence}


def test_other_events_are_passed_over() -> None:
    events = [{"step": 0, "kind": "start"}, *run(fall, fall, 100, 10), {"step": 100, "kind": "best", "loss": None}]
    assert diagnose(events, 100, False).verdict == "fine"
