"""The law of schedules: documented, deterministic, between 0 and 1, never idle, at the peak once."""

import pytest

from affina.core.kinds import schedules

NAMES = schedules.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = schedules.build(name)
    assert part.name == name == schedules.dump(part) and schedules.build(schedules.dump(part)) == part
    changed = schedules.build({"name": name, "warmup": 0.25})
    assert schedules.build(schedules.dump(changed)) == changed != part
    assert type(part).__doc__ and len(type(part).model_fields) <= 10
    assert all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_every_step_moves_and_none_beyond_the_peak(name: str, steps: int) -> None:
    found = [schedules.build(name).factor(step, steps) for step in range(1, steps + 1)]
    assert found == [schedules.build(name).factor(step, steps) for step in range(1, steps + 1)]
    assert all(0 < each <= 1 for each in found) and max(found) == 1


@pytest.mark.parametrize("warmup", [-0.1, 1.0, float("nan")])
@pytest.mark.parametrize("name", NAMES)
def test_a_warm_up_that_is_no_share_is_refused(name: str, warmup: float) -> None:
    with pytest.raises(ValueError, match="warmup"):
        schedules.build({"name": name, "warmup": warmup})
