"""Whether a table's first row names its columns, and the names; a name that is missing or stands twice is refused."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from affina.core.errors import Refused

WORDS = frozenset(
    re.findall(
        r"\w+",
        """id text label labels category class intent sentiment target title body content question answer prompt
    completion instruction input output response message messages name topic summary url author user testo etichetta
    categoria classe intento domanda risposta titolo nome date data argomento autore sentence review query utterance""",
    )
)
"""What columns are called and cells seldom hold."""
EXCEL = "sep="
"""What the line begins with by which a separator is told to Excel."""
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b")
SHOWN = 20
"""Names that a sentence lists."""


class Heading(NamedTuple):
    """The columns' names, how many sound rows stand above the row that gives them (None: no row does), and why."""

    names: tuple[str, ...]
    above: int | None
    reason: str


def heading(
    rows: Sequence[list[str]],
    width: int,
    told: bool | None = None,
    names: Sequence[str] = (),
    file: str = "",
    follow: bool = False,
) -> Heading:
    """The names of the columns of sound rows, of which `width` cells are usual. `told`: whether a row names them;
    `follow`: there are more rows than these.

    Raises Refused for a name that is missing above filled cells, one that stands twice, or another number of names.
    """
    above = _titles(rows, width)
    named, reason = (told, "as the reader was told") if told is not None else header(rows[above:], follow)
    if above and not named:
        above = 0
        named, reason = (told, reason) if told is not None else header(rows, follow)
    if names and len(names) != width:
        raise Refused(
            f"{len(names)} columns are named for {file}",
            why=f"its rows have {width} cells",
            instead="give `columns` of the reader a name for each",
        )
    if not named or not rows:
        return Heading(tuple(names) or tuple(f"column {place + 1}" for place in range(width)), None, reason)
    if above:
        reason += f"; {above} above it {'is no row' if above == 1 else 'are no rows'}"
    if names:
        return Heading(tuple(names), above, reason)
    found, note = _names(rows[above], rows[above + 1 :], width, file)
    return Heading(found, above, reason + note)


def header(rows: Sequence[list[str]], follow: bool = False) -> tuple[bool, str]:
    """Whether the first of these rows, which more may follow, names the columns; and the reason in a few words."""
    if not rows:
        return False, "there are no rows"
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if named := next((cell for cell in first if cell.lower().replace(" ", "_") in WORDS), None):
        return True, f"its first row names a column {_said(named)}"
    if not any(first):
        return False, "its first row is empty"
    if not rest and not follow:
        return False, "there is only one row"
    if number := next((cell for cell in first if _numeric(cell)), None):
        return False, f"its first row holds the number {number[:20]}"
    if date := next((cell for cell in first if DATE.match(cell)), None):
        return False, f"its first row holds the date {date[:20]}"
    columns = [[row[place].strip() for row in rest if place < len(row)] for place in range(len(first))]
    filled = [(cell, [value for value in column if value]) for cell, column in zip(first, columns, strict=True) if cell]
    filled = [(cell, column) for cell, column in filled if column]
    if above := next((cell for cell, column in filled if all(map(_numeric, column))), None):
        return True, f"{_said(above)} stands above numbers"
    if again := next((cell for cell, column in filled if cell in column), None):
        return False, f"{_said(again)} of the first row stands again below"
    for cell, column in filled:
        if len(cell) <= 40 and 3 * len(cell) < sum(map(len, column)) / len(column):
            return True, f"{_said(cell)} is far shorter than what stands below it"
    if max(map(len, first)) > 40 or len(first) == 1 or "" in first or 2 * len(set(first)) <= len(first):
        return False, "its first row reads like the others"
    return True, "its first row holds distinct short names" if len(set(first)) == len(first) else "its cells are short"


def unique(cells: Sequence[str]) -> list[str]:
    """Names made unique: a blank one becomes `column 3`, a repeated one `name 2`."""
    names: dict[str, None] = {}
    turns: Counter[str] = Counter()
    for place, cell in enumerate(cells, 1):
        name = base = cell.strip() or f"column {place}"
        while name in names:
            turns[base] += 1
            name = f"{base} {turns[base] + 1}"
        names[name] = None
    return [*names]


def told_apart(cells: Sequence[str], place: str, instead: str) -> list[str]:
    """A name for each column, `column 3` where there is none. Raises Refused where two are called the same; `place`
    says what they head."""
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise Refused(f"two columns of {place} are called '{twice}'", "one would hide the other", instead)
    return unique(names)


def _titles(rows: Sequence[list[str]], width: int) -> int:
    """How many rows stand above the table: each has its first cell filled alone, where the table's rows have more."""
    for place, row in enumerate(rows):
        title = row[0].strip() and not any(cell.strip() for cell in row[1:])
        if width == 1 or not title or (len(row) == width == 2 and row[0] != EXCEL):
            return place if any(len(other) == width for other in rows[place:]) else 0
    return 0


def _names(first: Sequence[str], rest: Sequence[list[str]], width: int, file: str) -> tuple[tuple[str, ...], str]:
    """A name for each column, and what was made of a missing one."""
    cells, note = [cell.strip() for cell in first], ""
    below = [[row[place].strip() for row in rest if place < len(row)] for place in range(max(width, len(cells)))]
    full = len(set(filled := [cell for cell in cells if cell])) == len(cells) == len(filled)
    if full and width == len(cells) + 1 and any(below[-1]) and len(set(below[0])) == len(rest) > 1:
        note = "; its first column has no name, as row names have none"
        cells = ["column 1", *cells]
    while len(cells) > 1 and not cells[-1] and 10 * sum(map(bool, below[len(cells) - 1])) < len(rest):
        cells.pop()  # a row that has more than a blank there has too many cells
    empty = [place for place, cell in enumerate(cells) if not cell and not any(below[place])]
    if empty:
        note += f"; column {empty[0] + 1} has no name and is empty{_more(len(empty) - 1)}"
    if not cells[0] and any(below[0]) and _counts(below[0]):
        note += "; column 1 has no name and only counts rows"
        empty.append(0)
    for place in empty:
        cells[place] = f"column {place + 1}"
    if wrong := _wrong(cells):
        names = [_written(name) for name in unique(cells)[:SHOWN]]
        raise Refused(
            f"the columns of {file} cannot be told apart by their names",
            why=wrong,
            instead="mend its first row, or name every column in the reader: "
            f"`reader: {{name: csv, columns: [{', '.join(names)}{', …' if len(cells) > SHOWN else ''}]}}` under `data`",
        )
    return tuple(cells), note


def _more(others: int) -> str:
    return f", as {others} more {'is' if others == 1 else 'are'}" if others else ""


def _wrong(cells: Sequence[str]) -> str:
    if "" in cells:
        return f"column {cells.index('') + 1} has no name"
    twice = [cell for cell, times in Counter(cells).items() if times > 1]
    return f"{Counter(cells)[twice[0]]} of them are called {_said(twice[0])}" if twice else ""


def _said(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else f"{cell[:40]}…")


def _written(name: str) -> str:
    """As a recipe has it."""
    return name if re.fullmatch(r"\w[\w ]*", name) and not name.isdecimal() else json.dumps(name, ensure_ascii=False)


def _counts(column: Sequence[str]) -> bool:
    """Whether the cells are the numbers of the rows, from 0 or 1 on."""
    return bool(column) and any(list(column) == [str(n + start) for n in range(len(column))] for start in (0, 1))


def _numeric(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
