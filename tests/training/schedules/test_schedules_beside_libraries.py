"""Each schedule is the one of transformers or torch where there is one, by hand where there is none."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    get_cosine_with_hard_restarts_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_polynomial_decay_schedule_with_warmup,
)  # fmt: skip

from affina.core.kinds import schedules

Scheduler = torch.optim.lr_scheduler.LRScheduler
NOTHING = 1e-12  # what theirs calls the floor of a polynomial must be above 0


def ours(spec: Any, steps: int) -> list[float]:
    part = schedules.build(spec)
    return [part.factor(step, steps) for step in range(1, steps + 1)]


def theirs(make: Callable[[torch.optim.Optimizer], Scheduler], steps: int) -> list[float]:
    """The rates of `steps` steps from a peak rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = make(optimizer), list[float]()
    for step in range(steps):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()
    return found


@pytest.mark.parametrize(("warmup", "steps", "climb"), [(0.1, 40, 4), (0.0, 24, 0), (0.25, 8, 2)])
@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_polynomial_is_transformers(warmup: float, steps: int, climb: int, power: float, floor: float) -> None:
    spec = {"name": "polynomial", "warmup": warmup, "power": power, "floor": floor}
    expected = theirs(
        lambda optimizer: get_polynomial_decay_schedule_with_warmup(
            optimizer, climb, steps, lr_end=floor or NOTHING, power=power
        ),
        steps,
    )
    assert ours(spec, steps)[climb:] == pytest.approx(expected[climb:], abs=2e-12)


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_polynomial_is_torchs(power: float) -> None:
    expected = theirs(lambda optimizer: torch.optim.lr_scheduler.PolynomialLR(optimizer, 30, power), 30)
    assert ours({"name": "polynomial", "warmup": 0.0, "power": power}, 30) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("warmup", "climb"), [(0.1, 20), (0.0, 0)])
@pytest.mark.parametrize("timescale", [None, 7, 500])
def test_inverse_sqrt_is_transformers(warmup: float, climb: int, timescale: int | None) -> None:
    found = ours({"name": "inverse_sqrt", "warmup": warmup, "timescale": timescale}, 200)
    expected = theirs(lambda optimizer: get_inverse_sqrt_schedule(optimizer, climb, timescale), 200)
    assert found[climb:] == pytest.approx(expected[climb:], abs=1e-12)


def test_inverse_sqrt_is_the_papers_formula() -> None:
    # lr ∝ min(s^-1/2, s · w^-3/2), as a share of its peak w^-1/2; ours stays at the peak for one step more.
    found, climb = ours({"name": "inverse_sqrt", "warmup": 0.2}, 100), 20
    paper = [min(step**-0.5, step * climb**-1.5) * climb**0.5 for step in range(1, 101)]
    assert found[:climb] == pytest.approx(paper[:climb], abs=1e-12)
    assert found[climb:] == pytest.approx(paper[climb - 1 : -1], abs=1e-12)


@pytest.mark.parametrize(("warmup", "steps", "climb"), [(0.1, 40, 4), (0.0, 36, 0), (0.4, 30, 12)])
@pytest.mark.parametrize("cycles", [1, 2, 3, 6])
def test_cosine_restarts_is_transformers(warmup: float, steps: int, climb: int, cycles: int) -> None:
    expected = theirs(
        lambda optimizer: get_cosine_with_hard_restarts_schedule_with_warmup(optimizer, climb, steps, cycles), steps
    )
    found = ours({"name": "cosine_restarts", "warmup": warmup, "cycles": cycles}, steps)
    # Theirs divides a cycle's end by floating point and may miss the restart by a step that does not move at all.
    steady = [place for place in range(climb, steps) if expected[place] > 1e-9]
    assert [found[place] for place in steady] == pytest.approx([expected[place] for place in steady], abs=1e-12)
    assert all(found[place] == 1 for place in range(climb, steps) if place not in steady)


@pytest.mark.parametrize(("first", "growth", "cycles"), [(4, 1, 5), (3, 2, 4), (2, 3, 3)])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cosine_restarts_is_torchs(first: int, growth: int, cycles: int, floor: float) -> None:
    steps = sum(first * growth**number for number in range(cycles))
    expected = theirs(
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, first, growth, floor), steps
    )
    spec = {"name": "cosine_restarts", "warmup": 0.0, "cycles": cycles, "growth": growth, "floor": floor}
    assert ours(spec, steps) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("steps", "cycles"), [(10, 3), (97, 5), (3, 7), (2, 2)])
def test_a_restart_takes_the_whole_peak_rate_wherever_it_falls(steps: int, cycles: int) -> None:
    found = ours({"name": "cosine_restarts", "warmup": 0.0, "cycles": cycles, "growth": 1.3}, steps)
    rises = [place for place in range(1, steps) if found[place] > found[place - 1]]
    assert found[0] == 1 and all(found[place] == 1 for place in rises)
    assert sum(each == 1 for each in found) == min(cycles, steps)


@pytest.mark.parametrize(("steps", "share"), [(40, 0.3), (20, 0.25), (100, 0.5), (10, 0.2)])
@pytest.mark.parametrize("anneal", ["cosine", "linear"])
def test_one_cycle_is_torchs(steps: int, share: float, anneal: str) -> None:
    def make(optimizer: torch.optim.Optimizer) -> Scheduler:
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=steps, pct_start=share, anneal_strategy="cos" if anneal == "cosine" else anneal,
            cycle_momentum=False, div_factor=20, final_div_factor=1000,
        )  # fmt: skip

    spec = {"name": "one_cycle", "pct_start": share, "start": 1 / 20, "floor": 1 / 20000, "anneal": anneal}
    assert ours(spec, steps) == pytest.approx(theirs(make, steps), abs=1e-12)


def test_one_cycle_by_hand() -> None:
    # Ten steps, four up in a line from 0.1: 0.1, 0.4, 0.7, 1; six down to 0.4 by 0.1 each.
    spec = {"name": "one_cycle", "pct_start": 0.4, "start": 0.1, "floor": 0.4, "anneal": "linear"}
    assert ours(spec, 10) == pytest.approx([0.1, 0.4, 0.7, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("patience", "shrink", "threshold"), [(1, 0.5, 1e-4), (2, 0.1, 0.1), (3, 0.7, 0.0)])
def test_reduce_on_plateau_is_torchs(seed: int, patience: int, shrink: float, threshold: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    losses = (2 * 0.9 ** torch.arange(60) + 0.3 * torch.rand(60, generator=draw)).tolist()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # Theirs lets `patience` bad values pass and reduces at the next one.
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "min", shrink, patience - 1, threshold, min_lr=0.01, eps=0
    )
    part = schedules.build(
        {"name": "reduce_on_plateau", "warmup": 0.0, "patience": patience, "shrink": shrink,
         "threshold": threshold, "floor": 0.01}
    )  # fmt: skip
    heard: list[tuple[int, float]] = []
    for step in range(1, 61):
        assert part.factor(step, 60, heard) == pytest.approx(float(optimizer.param_groups[0]["lr"]), abs=1e-12)
        heard.append((step, losses[step - 1]))
        scheduler.step(losses[step - 1])
    assert part.factor(61, 61, heard) < 1


def test_reduce_on_plateau_by_hand() -> None:
    part = schedules.build({"name": "reduce_on_plateau", "warmup": 0.0, "patience": 2, "shrink": 0.1, "floor": 0.05})
    # Better, worse, better, worse, as good (2: falls), worse, better, worse, worse (2: the floor).
    values = [3.0, 4.0, 2.0, 2.5, 2.0, 2.1, 1.0, 1.1, 1.2]
    heard = [(10 * number, value) for number, value in enumerate(values, 1)]
    found = [part.factor(10 * number + 1, 100, heard) for number in range(10)]
    assert found == [1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.05]


def test_a_metric_that_should_rise_counts_by_its_size() -> None:
    # Heard as -accuracy: 0.905 is no improvement of 1 % on 0.9, 0.92 is.
    part = schedules.build({"name": "reduce_on_plateau", "warmup": 0.0, "threshold": 0.01})
    assert part.factor(5, 10, [(1, -0.9), (2, -0.905)]) == 0.5
    assert part.factor(5, 10, [(1, -0.9), (2, -0.92)]) == 1


def test_what_is_said_in_warm_up_does_not_count() -> None:
    part = schedules.build({"name": "reduce_on_plateau", "warmup": 0.5})
    warm = [(2, 1.0), (4, 2.0), (5, 3.0)]
    assert part.factor(7, 10, [*warm, (6, 9.0)]) == 1
    assert part.factor(8, 10, [*warm, (6, 9.0), (7, 9.5)]) == 0.5
    assert part.factor(3, 10, warm) == pytest.approx(3 / 5)


def test_polynomial_by_hand() -> None:
    # Half the way is left: 0.5² of what lies above the floor of 0.2.
    found = ours({"name": "polynomial", "warmup": 0.0, "floor": 0.2}, 2)
    assert found == pytest.approx([1, 0.2 + 0.8 * 0.25], abs=1e-12)
    assert math.isclose(ours("polynomial", 100)[-1], (1 / 95) ** 2)
