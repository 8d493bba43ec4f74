"""How a delimited text file is written: separator, quote, escape and comments, found on a sample."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from affina.data.delimited import UNCLOSED, Form, parse
from affina.data.lines import physical_lines

COMMON = (",", ";", "\t", "|")
RARE = ("^", "~", "`", "¦", "§", "\x01", "\x1f")
"""Tried where no common separator divides the rows, and believed where each row has as many."""
QUOTING = (('"', ""), ("'", ""), ("", ""), ('"', "\\"), ("'", "\\"), ("", "\\"))
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space"}
EXCEL = re.compile(r"sep=([^\r\n])[\r\n]")
"""The line by which a separator is told to Excel."""
GUTTER = 2
"""Blanks between two columns of fixed width."""


class Told(NamedTuple):
    """What is known before the sample is looked at."""

    separator: str | None = None
    quote: str | None = None
    escape: str | None = None
    comment: str | None = None


class Dialect(NamedTuple):
    """The form of the cells, the usual number of them in a row, and the share of rows that have as many."""

    form: Form
    width: int
    share: float


def sniff(sample: str, whole: bool, told: Told = Told()) -> Dialect:  # noqa: B008
    """The dialect under which most rows of the sample have one same number of cells; what is told is kept."""
    if told.separator is None and (said := EXCEL.match(sample)):
        told = told._replace(separator=said[1])
    lines = physical_lines(sample)
    found = _best(lines, sample, whole, told)
    marked = [line for line in lines if line.startswith("#")]
    if told.comment is None and marked and next(line for line in lines if line.strip()) == marked[0]:
        apart = _best(lines, sample, whole, told._replace(comment="#"))
        bare = apart.form._replace(comment="")
        others = sum(_width(line, bare) != apart.width for line in marked)
        if apart.width > 1 and others >= 0.9 * len(marked):
            return apart
    return found


def fixed_width(sample: str) -> bool:
    """Whether the lines are cut at the same places by two blanks or more, and have two such gutters or more."""
    lines = [line.rstrip() for line in sample.splitlines()[:100] if line.strip()]
    if len(lines) < 3 or any("\t" in line for line in lines):
        return False
    longest = max(map(len, lines))
    blank = "".join(" " if all(line[at : at + 1] in ("", " ") for line in lines) else "x" for at in range(longest))
    gutters = [found.start() for found in re.finditer(rf"(?<=x) {{{GUTTER},}}(?=x)", blank)]
    return sum(all(len(line) > at for line in lines) for at in gutters) >= 2


def _best(lines: Sequence[str], sample: str, whole: bool, told: Told) -> Dialect:
    best: tuple[tuple[bool, float, int, int, bool], Dialect] | None = None
    quoting = False
    for form in _forms(sample, told, COMMON):
        found, enclosed = _trial(lines, sample, whole, form)
        unquoted = form.separator == "\t" and not form.quote  # tables with tabs seldom quote: a lone one is a character
        quoting = quoting or enclosed > 0
        share = found.share - (0.1 if quoting and not enclosed and not unquoted else 0)  # a broken one undoes no others
        merit = (found.width > 1 and found.share >= 0.5, share, enclosed, found.width, unquoted)
        if best is None or merit > best[0]:  # on a tie the earlier, commoner dialect stays
            best = merit, found
    if told.separator is None and (best is None or best[1].width == 1):
        for form in _forms(sample, told, RARE):
            found, _ = _trial(lines, sample, whole, form)
            if found.width > 1 and found.share == 1 and len(lines) > 1:
                return found
    assert best is not None
    return best[1]


def _forms(sample: str, told: Told, separators: Sequence[str]) -> Iterator[Form]:
    """The forms that are worth a trial: their signs are in the sample. Where none is, a tab and the usual quote."""
    marks = [mark for mark in separators if mark in sample] if told.separator is None else [told.separator]
    if told.separator is None and separators == COMMON:  # one that is nowhere in it keeps a single column whole
        marks += [mark for mark in ("\t", "|", ";", ",") if mark not in sample][:1]
    quotings = dict.fromkeys((_kept(told.quote, quote), _kept(told.escape, escape)) for quote, escape in QUOTING)
    for mark in marks:
        for quote, escape in quotings:
            if told.quote is None and quote == "'" and quote not in sample:
                continue
            escaped = [quote] if quote else ["\n", "\r", mark]
            if told.escape is None and escape and not any(f"{escape}{sign}" in sample for sign in escaped):
                continue
            padded = bool(quote) and _padded(sample, mark, quote)
            yield Form(mark, quote, escape, told.comment or "", padded)


def _kept(told: str | None, tried: str) -> str:
    return tried if told is None else told


def _padded(sample: str, separator: str, quote: str) -> bool:
    """Whether blanks stand before most quotes: they are then no part of the cell, which is a quoted one."""
    blank = f"{separator} {quote}"
    return blank in sample and sample.count(blank) > sample.count(f"{separator}{quote}")


def _width(line: str, form: Form) -> int:
    return next((len(row.cells or ()) for row in parse([[line]], form)), 0)


def _trial(lines: Sequence[str], sample: str, whole: bool, form: Form) -> tuple[Dialect, int]:
    """A dialect with the share of rows of the usual width, and how many cells are enclosed in its quote."""
    rows = []
    for row in parse([[*lines]], form):
        if not whole and row.problem == UNCLOSED:
            break  # the sample may end inside a cell
        rows.append(row)
    if not whole and len(rows) > 1:
        rows = rows[:-1]
    filled = [line for line in lines if line.strip() and not (form.comment and line.startswith(form.comment))]
    if 2 * sum(row.after - row.line for row in rows) < len(filled):
        return Dialect(form, 1, 0.0), 0
    widths = Counter(len(row.cells) for row in rows if row.cells is not None)
    width, fits = widths.most_common(1)[0] if widths else (1, 0)
    enclosed = swallowed = 0
    if form.quote:
        if width > 1:  # a row of several lines that are rows by themselves: the quote was only an apostrophe
            several = [lines[row.line - 1 : row.after - 1] for row in rows if row.after > row.line + 1]
            alone = [each for each in several if all(line.count(form.separator) == width - 1 for line in each)]
            swallowed = sum(map(len, alone))
        separator, quote = re.escape(form.separator), form.quote
        held = rf"(?:[^{quote}\\]|\\.)*+" if form.escape else f"[^{quote}]*+"
        cell = rf"(?:\A|[\r\n]|{separator}) ?{quote}{held}{quote}(?={separator}|[\r\n]|\Z)"
        enclosed = len(re.findall(cell, sample, re.DOTALL))
    return Dialect(form, width, fits / max(1, len(rows) + swallowed)), enclosed
