"""The rate climbs in a line, moves from step 1 on, and then follows its schedule: by hand and by transformers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)  # fmt: skip

from affina.core.kinds import schedules


def factors(spec: object, steps: int) -> list[float]:
    schedule = schedules.build(spec)
    return [schedule.factor(step, steps) for step in range(1, steps + 1)]


# Ten steps, two of warm-up: 1/2, 1; then eight steps at progress 0, 1/8 … 7/8.
BY_HAND = {
    "constant": [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "linear": [0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8],
    "cosine": [0.5, 1, *[(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)]],
    # decay 0.25 of eight steps: (1 - p) / 0.25 falls below 1 from p = 6/8 on: 1, then 1/2.
    "wsd": [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 0.5],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_values_by_hand(name: str) -> None:
    more = {"decay": 0.25} if name == "wsd" else {}
    assert factors({"name": name, "warmup": 0.2, **more}, 10) == pytest.approx(BY_HAND[name], abs=1e-12)


def test_a_cosine_falls_to_its_floor() -> None:
    # Half way between 1 and 0.2 at half of the course; at the last of four steps progress is 3/4.
    found = factors({"name": "cosine", "warmup": 0.0, "floor": 0.2}, 4)
    assert found == pytest.approx([1, 0.2 + 0.8 * (1 + 2**-0.5) / 2, 0.6, 0.2 + 0.8 * (1 - 2**-0.5) / 2])


LIBRARY = {
    "constant": lambda optimizer, warm, steps: get_constant_schedule_with_warmup(optimizer, warm),
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
}


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize(("steps", "warmup"), [(40, 0.1), (40, 0.0), (7, 0.3)])
def test_after_warm_up_the_rates_are_those_of_transformers(name: str, steps: int, warmup: float) -> None:
    climb = math.ceil(warmup * steps)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = LIBRARY[name](optimizer, climb, steps)
    theirs = []
    for _ in range(steps):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    ours = factors({"name": name, "warmup": warmup}, steps)
    assert ours[climb:] == pytest.approx(theirs[climb:], abs=1e-9)
    # In warm-up theirs starts at 0, a step that moves nothing; ours is one step ahead.
    assert ours[: max(climb - 1, 0)] == pytest.approx(theirs[1:climb], abs=1e-9)


@settings(deadline=None)
@given(name=st.sampled_from(list(BY_HAND)), steps=st.integers(1, 300), warmup=st.floats(0, 1, exclude_max=True))
def test_a_factor_is_between_0_and_1_and_the_first_step_moves(name: str, steps: int, warmup: float) -> None:
    found = factors({"name": name, "warmup": warmup}, steps)
    assert all(0 <= each <= 1 for each in found) and found[0] > 0
    climb = math.ceil(round(warmup * steps, 9))
    assert found[:climb] == sorted(found[:climb]) and found[climb:] == sorted(found[climb:], reverse=True)
    assert max(found) == 1


@pytest.mark.parametrize("name", BY_HAND)
def test_a_run_of_one_step_runs_at_the_peak(name: str) -> None:
    assert factors(name, 1) == [1.0]
    assert factors({"name": name, "warmup": 0.0}, 1) == [1.0]


@pytest.mark.parametrize(("share", "steps", "climb"), [(0.07, 100, 7), (0.05, 100, 5), (0.05, 101, 6), (0.29, 100, 29)])
def test_a_share_that_is_a_whole_number_of_steps_is_not_rounded_up(share: float, steps: int, climb: int) -> None:
    # In binary 0.07 · 100 is 7.000000000000001.
    found = factors({"name": "linear", "warmup": share}, steps)
    assert found[climb - 1] == found[climb] == 1 and found[climb + 1] < 1
