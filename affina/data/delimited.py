"""Rows of delimited text, by the standard library's strict parser; a malformed row costs its first line alone."""

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate
from typing import NamedTuple

from affina.data.lines import ENDS
from affina.data.offsets import Measure

LONGEST_LINES = 10_000
"""Physical lines a row may span before a quote in it counts as never closed."""
LONGEST_TEXT = 1 << 26
"""Characters that a row of several lines may have before a quote in it counts as never closed."""
FIELD_LIMIT = 2**31 - 1
UNCLOSED = "a quote opened in this row is never closed"
UNDOUBLED = "a quote inside a quoted cell is not doubled"
ESCAPED = "nothing follows the last escape of this row"


class Form(NamedTuple):
    """How cells are written: one character each, or an empty one for none."""

    separator: str
    quote: str = '"'
    escape: str = ""
    comment: str = ""
    """What begins a line that is no row."""
    padded: bool = False
    """Blanks after a separator are no part of the cell."""


class Parsed(NamedTuple):
    """A row's cells, or None with what is wrong; the numbers of its first physical line and of the one after it."""

    line: int
    after: int
    cells: list[str] | None
    raw: str = ""
    """Of a malformed row, its line."""
    problem: str = ""
    start: int = 0
    stop: int = 0
    """Its bytes in the file, where lines are measured."""


class _Feed:
    """Physical lines that can be taken again from a row's start, as many as one row may have at a time."""

    def __init__(self, batches: Iterable[list[str]], comment: str, measured: Measure | None) -> None:
        self.batches, self.comment = iter(batches), comment
        self.lines: list[str] = []
        self._sizes: Callable[[list[str]], Iterable[int]] = measured.sizes if measured else partial(map, len)
        self.edges = [measured.start if measured else 0]  # the first byte of each line, and the one after them all
        self.first = 1  # the number of lines[0]
        self.at = self.start = 0  # the line to be taken next, and the one that the row starts on

    def taken(self) -> Iterator[str]:
        """Ends where no line is left, or where one row has had all it may have."""
        size = 0
        while self._has_line():
            line = self.lines[self.at]
            if self.at == self.start:
                if self.comment and line.startswith(self.comment):
                    self.at = self.start = self.at + 1
                    continue
                size = len(line)
            else:
                size += len(line)
                if size > LONGEST_TEXT or self.at - self.start >= LONGEST_LINES:
                    return
            self.at += 1
            yield line

    def row(self) -> list[str]:
        """The lines taken since the row's start."""
        return self.lines[self.start : self.at]

    def give_back(self) -> str:
        """All but the row's first line are to be taken again."""
        self.at = self.start + 1
        return self.lines[self.start]

    def _has_line(self) -> bool:
        while self.at == len(self.lines):
            batch = next(filter(None, self.batches), None)
            if batch is None:
                return False
            self.edges = [*self.edges[self.start : -1], *accumulate(self._sizes(batch), initial=self.edges[-1])]
            if not batch[-1].endswith(ENDS):  # the parser takes no row that an escaped line end and no other is in
                batch = [*batch[:-1], f"{batch[-1]}\n"]
            self.lines = self.lines[self.start :] + batch
            self.first += self.start
            self.at, self.start = self.at - self.start, 0
        return True


def parse(batches: Iterable[list[str]], form: Form, measured: Measure | None = None) -> Iterator[Parsed]:
    """Every row that is neither blank nor a comment. Reading goes on at the line after a malformed row's first."""
    csv.field_size_limit(FIELD_LIMIT)
    feed = _Feed(batches, form.comment, measured)
    reader = _reader(feed, form)
    while True:
        feed.start = feed.at
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            line = feed.give_back()
            number = feed.first + feed.start
            edges = feed.edges[feed.start : feed.start + 2]
            yield Parsed(number, number + 1, None, line.rstrip("\r\n"), _sentence(str(error), line, form), *edges)
            reader = _reader(feed, form)
            continue
        if len(cells) > 1 or (cells and cells[0].strip()) or "".join(feed.row()).strip():
            start, stop = feed.edges[feed.start], feed.edges[feed.at]
            yield Parsed(feed.first + feed.start, feed.first + feed.at, cells, start=start, stop=stop)


def _reader(feed: _Feed, form: Form) -> Iterator[list[str]]:
    return csv.reader(
        feed.taken(),
        delimiter=form.separator,
        quotechar=form.quote or None,
        escapechar=form.escape or None,
        quoting=csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE,
        skipinitialspace=form.padded,
        strict=True,
    )


def _sentence(error: str, line: str, form: Form) -> str:
    if "expected after" in error:
        return UNDOUBLED
    if "unexpected end" not in error:
        return f"the row cannot be divided into cells ({error})"
    return UNCLOSED if form.quote and form.quote in line else ESCAPED
