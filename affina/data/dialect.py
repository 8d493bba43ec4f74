"""How a delimited text file is written: separator, quote and header, found on a sample; and its rows."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import product
from typing import NamedTuple

LONGEST = 10_000
"""Physical lines a quoted cell may span before its quote counts as never closed."""
FIELD_LIMIT = 2**31 - 1
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
QUOTING = (('"', ""), ("'", ""), ("", ""), ('"', "\\"))
NAMES = frozenset(
    re.findall(
        r"\w+",
        """id text label labels category class intent sentiment target title body content question answer prompt
    completion instruction input output response message messages name topic summary url author user testo etichetta
    categoria classe intento domanda risposta titolo nome date data argomento autore sentence review query utterance""",
    )
)


UNCLOSED = "a quote opened in this row is never closed"


class Dialect(NamedTuple):
    """Separator, quote and escape (the last two may be empty), the usual number of cells, the share of rows with it."""

    separator: str
    quote: str
    escape: str
    width: int
    share: float


class Parsed(NamedTuple):
    """A row's cells, or None with what is wrong; the number of the physical line it starts on, and its lines."""

    line: int
    lines: list[str]
    cells: list[str] | None
    problem: str = ""


class _Lines:
    """Physical lines, numbered, that can be given back: a row that fails takes only its first line with it."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.source, self.waiting, self.taken, self.first = iter(lines), list[str](), list[str](), 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= LONGEST:
            raise csv.Error("unexpected end of data")
        line = self.waiting.pop() if self.waiting else next(self.source)
        self.taken.append(line)
        return line

    def begin(self) -> None:
        self.first += len(self.taken)
        self.taken = []

    def give_back(self) -> None:
        self.waiting.extend(reversed(self.taken[1:]))
        del self.taken[1:]


def parse(lines: Iterable[str], separator: str, quote: str, escape: str) -> Iterator[Parsed]:
    """Every row that is not blank. A malformed one has a problem; reading goes on at the line after its start."""
    csv.field_size_limit(FIELD_LIMIT)
    source = _Lines(lines)
    reader = csv.reader(
        source,
        delimiter=separator,
        quotechar=quote or None,
        escapechar=escape or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        source.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            source.give_back()
            yield Parsed(source.first, source.taken, None, _sentence(str(error)))
            continue
        if len(cells) > 1 or (cells and cells[0].strip()) or any(quote and quote in line for line in source.taken):
            yield Parsed(source.first, source.taken, cells)


def _sentence(error: str) -> str:
    if "unexpected end" in error:
        return UNCLOSED
    if "expected after" in error:
        return "a quote inside a quoted cell is not doubled"
    return f"the row cannot be divided into cells ({error})"


def sniff(
    sample: str, whole: bool, separator: str | None = None, quote: str | None = None, escape: str | None = None
) -> Dialect:
    """The dialect under which most rows of the sample have one same number of cells; what is given is kept."""
    lines = physical_lines(sample)
    best: tuple[tuple[bool, float, int, int, bool], Dialect] | None = None
    quoting = False
    for mark, (sign, before) in product(SEPARATORS, QUOTING):
        if separator not in (None, mark) or quote not in (None, sign) or escape not in (None, before):
            continue
        if before and f"{before}{sign}" not in sample:
            continue
        found, enclosed = _trial(lines, whole, mark, sign, before)
        unquoted = mark == "\t" and not sign  # tables with tabs seldom quote: a lone quote in them is a character
        quoting = quoting or enclosed > 0
        share = found.share - (
            0.1 if quoting and not enclosed and not unquoted else 0
        )  # a broken quote undoes no others
        merit = (found.width > 1 and found.share >= 0.5, share, enclosed, found.width, unquoted)
        if best is None or merit > best[0]:  # on a tie the earlier, commoner dialect stays
            best = merit, found
    return best[1] if best else _trial(lines, whole, separator or ",", quote or '"', escape or "")[0]


def physical_lines(text: str) -> list[str]:
    """Lines as a file opened with newline='' gives them: ended by \\n, \\r\\n or \\r, and by nothing else."""
    return list(StringIO(text, newline=""))


def _trial(lines: Sequence[str], whole: bool, separator: str, quote: str, escape: str) -> tuple[Dialect, int]:
    """A dialect with the share of rows of the usual width, and how many cells are enclosed in its quote."""
    rows = []
    for row in parse(lines, separator, quote, escape):
        if not whole and row.problem == UNCLOSED:
            break  # the sample may end inside a cell
        rows.append(row)
    if not whole and len(rows) > 1:
        rows = rows[:-1]
    if 2 * sum(len(row.lines) for row in rows) < len(lines):
        return Dialect(separator, quote, escape, 1, 0.0), 0
    widths = Counter(len(row.cells) for row in rows if row.cells is not None)
    width, fits = widths.most_common(1)[0] if widths else (1, 0)
    enclosed = swallowed = 0
    if quote and width > 1:  # a row of several lines that are rows by themselves: the quote was only an apostrophe
        several = [row.lines for row in rows if len(row.lines) > 1]
        swallowed = sum(len(each) for each in several if all(line.count(separator) == width - 1 for line in each))
    if quote:
        cell = rf"(?:^|{re.escape(separator)}){quote}[^{quote}]*{quote}(?={re.escape(separator)}|$)"
        enclosed = len(re.findall(cell, "".join(lines), re.MULTILINE))
    return Dialect(separator, quote, escape, width, fits / max(1, len(rows) + swallowed)), enclosed


def header(rows: Sequence[list[str]]) -> tuple[bool, str]:
    """Whether the first of these rows names the columns, and the reason in a few words."""
    if not rows:
        return False, "there are no rows"
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if named := next((cell for cell in first if cell.lower().replace(" ", "_") in NAMES), None):
        return True, f"its first row names a column '{named}'"
    if not rest:
        return False, "there is only one row"
    if number := next((cell for cell in first if _numeric(cell)), None):
        return False, f"its first row holds the number {number}"
    columns = [[row[place].strip() for row in rest if place < len(row)] for place in range(len(first))]
    for cell, column in zip(first, columns, strict=True):
        if cell and cell in column:
            return False, f"'{cell}' of the first row stands again below"
    for cell, column in zip(first, columns, strict=True):
        filled = [value for value in column if value]
        if cell and filled and all(map(_numeric, filled)):
            return True, f"'{cell}' stands above numbers"
        if cell and filled and len(cell) <= 40 and 3 * len(cell) < sum(map(len, filled)) / len(filled):
            return True, f"'{cell}' is far shorter than what stands below it"
    if max(map(len, first)) > 40 or len(first) == 1 or len(set(first)) < len(first):
        return False, "its first row reads like the others"
    return True, "its first row holds distinct short names"


def column_names(cells: Sequence[str]) -> list[str]:
    """A header's names made unique: a blank one becomes `column 3`, a repeated one `name 2`."""
    names: list[str] = []
    for place, cell in enumerate(cells, 1):
        name = base = cell.strip() or f"column {place}"
        turn = 2
        while name in names:
            name, turn = f"{base} {turn}", turn + 1
        names.append(name)
    return names


def _numeric(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
