"""Where a verb writes: progress and notes on standard error, results on standard output; colour only on a terminal."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from affina.core.say import Say, Silent

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PAUSE_S = 2.0  # between two progress lines in a pipe


class Screen:
    """Where a verb speaks (`say`) and prints its result. Used as a context: leaving it ends the live display."""

    def __init__(self, silent: bool = False) -> None:
        live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.say: Say = Silent() if silent else Live() if live else Lines()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(self.say, Live):
            self.say.close()

    def text(self, line: str = "") -> None:
        """One line of the result, as it is."""
        print(line)

    def piece(self, text: str) -> None:
        """A part of a line, shown at once."""
        print(text, end="", flush=True)

    def heading(self, line: str) -> None:
        """A line that opens a block, after an empty one."""
        print(f"\n\033[1m{line}\033[0m" if _coloured() else f"\n{line}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Aligned columns; the last one may be long. Empty cells for None."""
        cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
        if sys.stdout.isatty():
            _rich_table(columns, cells)
            return
        widths = [max(len(row[at]) for row in [list(columns), *cells]) for at in range(len(columns))]
        for row in [list(columns), *cells]:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def spans(self, pieces: Iterable[tuple[str, bool]]) -> None:
        """A row's text, what is learned in colour where there is colour and between ⟦ ⟧ elsewhere."""
        marks = ("\033[30;42m", "\033[0m") if _coloured() else ("⟦", "⟧")
        print("".join(f"{marks[0]}{text}{marks[1]}" if learned else text for text, learned in pieces))


def _coloured() -> bool:
    """On a terminal that has colours, unless the person wants none (no-color.org)."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


class Pace:
    """How long a piece of work will still take, at the rate it has had since it was first heard of."""

    def __init__(self, done: int) -> None:
        self._since_s, self._first = time.monotonic(), done

    def left(self, done: int, total: int) -> str:
        """`1:15 left`; empty when it is not known."""
        if done <= self._first or done >= total:
            return ""
        return f"{clock((total - done) * (time.monotonic() - self._since_s) / (done - self._first))} left"


class Lines:
    """Progress as plain lines: at a change of subject, at its end, and at most every two seconds between."""

    def __init__(self) -> None:
        self._what, self._written_s, self._pace = "", 0.0, Pace(0)
        self._unheard = False

    def line(self, text: str) -> None:
        """A sentence worth keeping. When nobody reads any more the work goes on unheard."""
        if self._unheard:
            return
        try:
            print(text, file=sys.stderr, flush=True)
        except BrokenPipeError:
            self._unheard = True

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        """One line `what done/total · detail` when it is time for one; the time left where no detail tells it."""
        if what != self._what:
            self._what, self._pace = what, Pace(done)
        elif time.monotonic() - self._written_s < PAUSE_S and done != total:
            return
        self._written_s = time.monotonic()
        self.line(
            " · ".join(part for part in (what, counted(done, total), detail or self._pace.left(done, total)) if part)
        )


class Live:
    """Progress as one live bar per subject."""

    def __init__(self) -> None:
        self._display: Progress | None = None
        self._tasks: dict[str, tuple[TaskID, Pace]] = {}

    def line(self, text: str) -> None:
        """A sentence worth keeping, above the live bar."""
        if self._display is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._display.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Moves the subject's bar; a subject that ended and starts again gets a new one."""
        if self._display is None:
            self._display = _display()
        if what not in self._tasks:
            self._tasks[what] = self._display.add_task(what, total=total or None, count="", detail=""), Pace(done)
        task, pace = self._tasks[what]
        count, detail = counted(done, total), detail or pace.left(done, total)
        self._display.update(task, completed=done, total=total or None, count=count, detail=detail)
        if total and done >= total:
            del self._tasks[what]

    def close(self) -> None:
        """Leaves the bars as they stand."""
        if self._display is not None:
            self._display.stop()
            self._display = None


def counted(done: int, total: int) -> str:
    """`12/500`; only what is done when the total is not known, nothing when neither is."""
    return f"{amount(done)}/{amount(total)}" if total else amount(done) if done else ""


def amount(number: int) -> str:
    """1234 → `1,234`; from a million on in millions, as bytes are read."""
    return f"{number / 1e6:.1f}M" if number >= 1_000_000 else f"{number:,}"


def clock(seconds: float) -> str:
    """75 → `1:15`, 3675 → `1:01:15`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def number(value: float | None, signed: bool = False) -> str:
    """Three decimals, fewer from a hundred on; a dash for nothing."""
    if value is None:
        return "–"
    digits = 3 if abs(value) < 100 else 1
    return f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"


def interval(measured: dict[str, Any] | None, signed: bool = False) -> str:
    """`0.912 [0.880, 0.940]` from {value, low, high}."""
    if measured is None:
        return "–"
    value, low, high = (number(measured.get(key), signed) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _display() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    texts = [
        TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[count]", "fields[detail]")
    ]
    display = Progress(texts[0], BarColumn(), *texts[1:], console=Console(stderr=True))
    display.start()
    return display


def _rich_table(columns: Sequence[str], cells: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    plain = not _coloured()
    console = Console(no_color=plain or None, highlight=not plain)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="none" if plain else "table.header")
    names = max((len(row[0]) for row in [list(columns), *cells]), default=0)
    for place, column in enumerate(columns):
        # Names stay whole and longer columns wrap, unless the names alone would fill the screen.
        table.add_column(column, overflow="fold", no_wrap=place == 0 and 2 * names <= console.width)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
