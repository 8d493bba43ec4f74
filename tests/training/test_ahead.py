"""Work done ahead: the same elements in the same order, within the bound, and no thread left behind."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.training.ahead import ahead


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("affina-ahead")]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers()), st.integers(0, 5))
def test_the_same_elements_come_in_the_same_order(elements: list[int], depth: int) -> None:
    with ahead(iter(elements), depth) as made:
        assert list(made) == elements
    assert threads() == []


def test_at_most_depth_are_made_before_they_are_asked_for() -> None:
    begun: list[int] = []

    def counted() -> Iterator[int]:
        for number in count():
            begun.append(number)
            yield number

    with ahead(counted(), 3) as made:
        for taken in range(1, 20):
            next(made)
            time.sleep(0.002)
            assert taken <= len(begun) <= taken + 3
        time.sleep(0.05)
        assert len(begun) == 19 + 3  # it does work ahead


def test_without_depth_each_is_made_when_it_is_asked_for_and_in_no_other_thread() -> None:
    makers: list[str] = []

    def made_here() -> Iterator[int]:
        for number in range(3):
            makers.append(threading.current_thread().name)
            yield number

    with ahead(made_here(), 0) as made:
        assert (next(made), len(makers)) == (0, 1)
        assert [*made] == [1, 2]
    assert set(makers) == {threading.current_thread().name}


def test_elements_are_made_in_one_other_thread_while_the_loop_is_busy() -> None:
    """Twenty elements of 10 ms behind steps of 15 ms: after the first the loop finds each one ready."""
    makers = set()

    def slow() -> Iterator[int]:
        for number in range(20):
            makers.add(threading.current_thread().name)
            time.sleep(0.01)
            yield number

    waited = []
    with ahead(slow(), 4) as made:
        for _ in range(20):
            started = time.perf_counter()
            next(made)
            waited.append(time.perf_counter() - started)
            time.sleep(0.015)
    assert len(makers) == 1 and threading.current_thread().name not in makers
    assert sorted(waited[1:])[len(waited) // 2] < 0.005


def test_an_exception_comes_where_its_element_would_have() -> None:
    def failing() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("row 3 is damaged")

    with ahead(failing(), 4) as made:
        assert list(islice(made, 2)) == [1, 2]
        with pytest.raises(ValueError, match="row 3 is damaged"):
            next(made)
    assert threads() == []


@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_loop_that_raises_leaves_no_thread(raised: type[BaseException]) -> None:
    with pytest.raises(raised), ahead(count(), 4) as made:
        next(made)
        raise raised
    assert threads() == []


def test_an_interrupt_while_the_thread_starts_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pool does not know it yet; untold, it would wait for work for ever and keep the process from ending."""
    started = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        started(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), ahead(count(), 4):
        pass
    deadline = time.monotonic() + 10
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == []


def test_a_loop_that_takes_nothing_leaves_no_thread() -> None:
    with ahead(count(), 4):
        pass
    assert threads() == []


def test_a_killed_process_ends_at_once() -> None:
    """SIGTERM while the thread works and the loop waits for it: nothing keeps the process alive."""
    script = (
        "import itertools, time\n"
        "from affina.training.ahead import ahead\n"
        "def slow():\n"
        "    for n in itertools.count():\n"
        "        time.sleep(0.2)\n"
        "        yield n\n"
        "with ahead(slow(), 4) as made:\n"
        "    print('ready', flush=True)\n"
        "    for each in made: pass\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    started = time.perf_counter()
    process.terminate()
    assert process.wait(timeout=10) == -15 and time.perf_counter() - started < 5
    process.stdout.close()
