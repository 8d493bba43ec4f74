"""Work done ahead of the loop, in one thread and within a bound, so that the engine does not wait for its batches."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def ahead(made: Iterator[T], depth: int) -> Generator[Iterator[T]]:
    """Inside, the same elements in the same order, none of them None, at most `depth` made before they are asked for.

    With a depth of 0 each is made when it is asked for, and there is no thread.
    What making one raises is raised where it would be taken. On leaving, however that happens, the thread ends with
    the element in hand; it is waited for, unless an interrupt came while it started.
    """
    if not depth:
        yield made
        return
    thread = ThreadPoolExecutor(1, "affina-ahead")
    waiting: deque[Future[T | None]] = deque()

    def taken() -> Iterator[T]:
        while (each := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(next, made, None))
            yield each

    try:  # from before the thread starts: one that an interrupt leaves unregistered ends only when it is told
        waiting.extend(thread.submit(next, made, None) for _ in range(depth))
        yield taken()
    finally:
        thread.shutdown(cancel_futures=True)
