"""The law of schedules: documented, deterministic, between 0 and 1, never idle, at the peak, blind to the future."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.kinds import schedules

NAMES = schedules.names()
WARMED = [name for name in NAMES if "warmup" in schedules.find(name).model_fields]
AGAIN = ("cosine_restarts",)  # reaches the peak more than once
WORSE = [(step, float(step)) for step in range(1, 1001)]  # validation said so after each step


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = schedules.build(name)
    assert part.name == name == schedules.dump(part) and schedules.build(schedules.dump(part)) == part
    changed = schedules.build({"name": name, "warmup" if name in WARMED else "pct_start": 0.25})
    assert schedules.build(schedules.dump(changed)) == changed != part
    assert type(part).__doc__ and len(type(part).model_fields) <= 10
    assert all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("heard", [(), WORSE], ids=["silent", "worse"])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_every_step_moves_and_none_beyond_the_peak(name: str, steps: int, heard: list[tuple[int, float]]) -> None:
    found = [schedules.build(name).factor(step, steps, heard) for step in range(1, steps + 1)]
    assert found == [schedules.build(name).factor(step, steps, heard) for step in range(1, steps + 1)]
    assert all(0 < each <= 1 for each in found) and max(found) == 1


@settings(deadline=None)
@given(name=st.sampled_from(NAMES), steps=st.integers(1, 300))
def test_a_rate_rises_to_the_peak_and_falls_from_it(name: str, steps: int) -> None:
    found = [schedules.build(name).factor(step, steps, WORSE) for step in range(1, steps + 1)]
    peak = found.index(1.0)
    assert found[:peak] == sorted(found[:peak])
    assert name in AGAIN or found[peak:] == sorted(found[peak:], reverse=True)


@pytest.mark.parametrize("name", NAMES)
def test_what_validation_says_at_a_step_or_later_does_not_move_it(name: str) -> None:
    for step in (1, 10, 40, 99):
        known = [(at, -1.0 * at) for at in range(1, step)]
        coming = [*known, *((at, 1.0 * at) for at in range(step, 100))]
        part = schedules.build(name)
        assert part.factor(step, 100, known) == part.factor(step, 100, coming)


@pytest.mark.parametrize("warmup", [-0.1, 1.0, float("nan")])
@pytest.mark.parametrize("name", WARMED)
def test_a_warm_up_that_is_no_share_is_refused(name: str, warmup: float) -> None:
    with pytest.raises(ValueError, match="warmup"):
        schedules.build({"name": name, "warmup": warmup})
