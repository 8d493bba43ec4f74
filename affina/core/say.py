"""How long work speaks: a line at a time, or progress. The command line shows it; the Python API is silent."""

from typing import Protocol


class Say(Protocol):
    """Where a verb reports what it is doing."""

    def line(self, text: str) -> None:
        """A sentence worth keeping."""

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Where long work stands; `detail` is already formatted (loss, rate …). `done == total` ends it."""


class Silent:
    """Says nothing."""

    def line(self, text: str) -> None:
        return

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        return
