"""The parts of a long piece of work, as many at once as there are cores, in a stream: whatever their number, what comes
out is the same and in the same order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 2
"""Parts begun or done for each core, and not yet taken."""


def cores() -> int:
    """Cores that this process may use: those it is bound to, or as few as OMP_NUM_THREADS says."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # one number a level of nesting
    return min(bound, int(asked)) if asked.isdecimal() and int(asked) else bound


def abreast(work: Callable[[T], R], parts: Iterable[T]) -> Generator[R]:
    """`work` of each part, in order, computed by one thread a core: it pays where `work` is numpy's or Arrow's, which
    let go of the interpreter. A single part, or a single core, needs no thread.

    What a part raises is raised in its place. However it ends, no thread outlives it; parts not begun are left.
    """
    left, threads = iter(parts), cores()
    first = list(islice(left, 2))
    if threads == 1 or len(first) < 2:
        yield from map(work, first)
        yield from map(work, left)
        return
    pool = ThreadPoolExecutor(threads, "affina-abreast")
    try:
        waiting: deque[Future[R]] = deque(pool.submit(work, part) for part in first)
        waiting.extend(pool.submit(work, part) for part in islice(left, AHEAD * threads - len(first)))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(work, part) for part in islice(left, 1))
    finally:
        pool.shutdown(cancel_futures=True)
