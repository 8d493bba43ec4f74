"""However many threads there are, the same comes out in the same order, a few parts ahead and no more."""

import os
import threading

import pytest

from affina.data import abreast as module
from affina.data.abreast import abreast


@pytest.fixture(params=[1, 2, 3])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "cores", lambda: request.param)
    return int(request.param)


@pytest.mark.parametrize(
    ("asked", "found"), [("1", 1), ("3, 2", 3), ("64", 4), ("", 4), ("0", 4), ("many", 4), (None, 4)]
)
def test_cores_are_those_bound_to_or_as_few_as_openmp_is_told(
    asked: str | None, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert module.cores() == found


def names() -> set[str]:
    return {each.name for each in threading.enumerate() if each.name.startswith("affina-abreast")}


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_the_parts_come_in_order(cores: int, count: int) -> None:
    assert list(abreast(lambda part: part * part, range(count))) == [part * part for part in range(count)]
    assert not names()


def test_as_many_are_worked_on_at_once_as_there_are_cores(cores: int) -> None:
    """Each part waits until all cores have one: with fewer threads none would go on."""
    meeting = threading.Barrier(cores, timeout=60)
    assert len(list(abreast(lambda part: meeting.wait(), range(3 * cores)))) == 3 * cores


def test_one_part_needs_no_thread(cores: int) -> None:
    assert list(abreast(lambda part: threading.current_thread(), [0])) == [threading.main_thread()]


def test_parts_are_taken_as_they_are_needed(cores: int) -> None:
    parts = iter(range(1000))
    stream = abreast(lambda part: part, parts)
    assert next(stream) == 0 and next(parts) <= module.AHEAD * cores + 1
    stream.close()
    assert not names()


def test_what_a_part_raises_is_raised_in_its_place_and_no_thread_is_left(cores: int) -> None:
    stream = abreast(lambda part: 12 // part, [3, 2, 0, 1])
    assert [next(stream), next(stream)] == [4, 6]
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert not names()


def test_an_interrupt_ends_it(cores: int) -> None:
    def interrupted(part: int) -> int:
        if part == 5:
            raise KeyboardInterrupt
        return part

    with pytest.raises(KeyboardInterrupt):
        list(abreast(interrupted, range(1000)))
    assert not names()


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= module.cores() <= (os.cpu_count() or 1)
    if hasattr(os, "sched_setaffinity"):
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(before)})
            assert module.cores() == 1
        finally:
            os.sched_setaffinity(0, before)
