"""Spreadsheets (.xlsx, .xlsb, .xls, .ods): each row is a record, its columns named by the header or their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError
from zipfile import ZipFile

from pydantic import Field

from affina.core.errors import Refused, nearest
from affina.core.kinds import Reader, Record
from affina.data import compound
from affina.data.biff import filled_rows
from affina.data.heading import header, told_apart, unique
from affina.data.library import needing
from affina.data.sheet_figures import Figures, figures, tables
from affina.data.zipped import opened, protected

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

SAMPLE = 200
"""Rows on which the header is looked for."""
FILLED = 0.6
"""The share of the widest row's cells that a header fills: titles and remarks above it fill fewer."""
MOST_CELLS = 20_000_000
"""Of a sheet's area, which is held in memory."""
EXACT = 2**53
"""Whole numbers below it are exact in a sheet's arithmetic."""
SECRETS = "META-INF/manifest.xml"
"""Where OpenDocument tells how entries are encrypted (part 2, 3.4)."""
Cells = Sequence[Any]


class Excel(Reader):
    """Dates and times are ISO 8601, whole numbers integers, blank cells empty, and so are cells that show an error;
    rows of blank cells are passed over. `line` is the row's number in the sheet, counted from 1."""

    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")

    sheet: str | None = None
    """The sheet's name; the first that is not hidden and holds anything when left out."""
    header: int | None = Field(None, ge=0)
    """The row that names the columns, counted from 1; 0 where none does. When left out, it is judged from the rows: the
    first that fills nearly as many cells as any."""
    merged: Literal["first", "all"] = "first"
    """Where the value of merged cells stands: in the first of them, as the file has it, or in all, as it is meant."""

    def look(self, path: Path) -> tuple[Excel, str]:
        """This reader with sheet and header filled in; other sheets, hidden rows, errors and merged cells are told."""
        with _opened(path) as book:
            sheet, others = self._chosen(book)
            row, reason = self._header(sheet)
            told = [f"sheet '{sheet.name}'", reason, *_remarks(book.figures(sheet.name), sheet, self.merged), *others]
            settled = self.model_copy(update={"sheet": sheet.name, "header": row})
            return settled, "; ".join(told)

    def records(self, path: Path) -> Iterator[Record]:
        """Every row below the header that is not blank. Raises Refused for what is no spreadsheet, is damaged or under
        a password, for a sheet that spans more cells than can be held, and for one without rows."""
        with _opened(path) as book:
            sheet, _ = self._chosen(book)
            at, _ = self._header(sheet)
            names: list[str] = []
            empty = True
            for number, cells in _rows(sheet, self.merged):
                if number == at:
                    where = f"sheet '{sheet.name}' of {path}"
                    remedy = f"mend row {number}, or write `header: 0` in the reader, which numbers the columns"
                    names = told_apart([_shown(cell) for cell in cells], where, remedy)
                elif number > at and any(_shown(cell).strip() for cell in cells):
                    names = names or unique([""] * len(cells))
                    empty = False
                    values = {name: _plain(cell) for name, cell in zip(names, cells, strict=True)}
                    yield Record(values, str(path), number)
            if empty:
                nothing = f"nothing below the header, row {at}" if at else "nothing but blank cells"
                raise Refused(
                    f"{path} holds no rows",
                    why=f"sheet '{sheet.name}' has {nothing}",
                    instead="name another `sheet`, or `header: 0` where no row names the columns",
                )

    def count(self, path: Path) -> int | None:
        """The rows below the header that hold something, counted in the file's XML, or in the records of an old one;
        None for .xlsb, and where merged values are spread."""
        with _opened(path) as book:
            sheet, _ = self._chosen(book)
            if self.merged == "all":
                return None
            at, _ = self._header(sheet)
            if not book.is_zip:
                rows = filled_rows(path, book.workbook.sheet_names.index(sheet.name))
                return None if rows is None else sum(row > at for row in rows)
            known = book.figures(sheet.name)
            return known.rows(at) if known is not None else None

    def _chosen(self, book: _Book) -> tuple[CalamineSheet, list[str]]:
        """The sheet that is read, and what is to be said of the others."""
        from python_calamine import SheetTypeEnum, SheetVisibleEnum

        tables = [each for each in book.workbook.sheets_metadata if each.typ is SheetTypeEnum.WorkSheet]
        hidden = [each.name for each in tables if each.visible is not SheetVisibleEnum.Visible]
        names = [each.name for each in tables]
        if self.sheet is not None:
            if self.sheet not in names:
                raise Refused(f"{book.path} has no sheet '{self.sheet}'", instead=nearest(self.sheet, names))
            return book.sheet(self.sheet), []
        for name in [*(each for each in names if each not in hidden), *hidden]:
            sheet = book.sheet(name)
            if sheet.start is not None:
                left = [f"'{each}'{' (hidden)' if each in hidden else ''}" for each in names if each != name]
                return sheet, [f"not read: {', '.join(left)} (`sheet:` chooses)"] if left else []
        raise Refused(f"{book.path} is empty", why="no sheet of it holds anything")

    def _header(self, sheet: CalamineSheet) -> tuple[int, str]:
        """The row that names the columns, 0 for none, and the reason."""
        if self.header is not None:
            return self.header, f"header in row {self.header}" if self.header else "no header"
        rows = [(number, [_shown(cell) for cell in cells]) for number, cells in islice(_rows(sheet, "first"), SAMPLE)]
        filled = [sum(bool(cell.strip()) for cell in cells) for _, cells in rows]
        place = next((at for at, many in enumerate(filled) if many >= FILLED * max(filled) and many), None)
        if place is None:
            return 0, "no header because its first rows are blank"
        named, reason = header([cells for _, cells in rows[place:]])
        number, first = rows[place][0], next(number for (number, _), many in zip(rows, filled, strict=True) if many)
        above = f", rows {first} to {number - 1} above it not read" if named and number > first else ""
        return (
            (number, f"header in row {number} because {reason}{above}") if named else (0, f"no header because {reason}")
        )


def _rows(sheet: CalamineSheet, merged: Literal["first", "all"]) -> Iterator[tuple[int, Cells]]:
    """Every row of the sheet with its number, to the last column that is used."""
    start = sheet.start
    if start is None:
        return
    ranges = sheet.merged_cell_ranges or [] if merged == "all" else []
    starting = {begin: [] for begin, _ in ranges}  # type: dict[tuple[int, int], list[tuple[int, int]]]
    for begin, end in ranges:
        starting[begin].append(end)
    spread: dict[int, tuple[int, Any]] = {}
    for row, cells in enumerate(sheet.iter_rows()):
        if row < start[0] and not any(_shown(cell) for cell in cells):
            continue
        for column in range(len(cells)) if ranges else ():
            for last_row, last_column in starting.get((row, column), []):
                spread |= dict.fromkeys(range(column, min(last_column + 1, len(cells))), (last_row, cells[column]))
            if column in spread and spread[column][0] >= row:
                cells[column] = spread[column][1]
        yield row + 1, cells


def _plain(cell: Any) -> Any:
    """A cell as a column's value: whole numbers as integers, dates and times as text."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < EXACT:
        return int(cell)
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return cell


def _shown(cell: Any) -> str:
    return str(_plain(cell))


def _remarks(known: Figures | None, sheet: CalamineSheet, merged: str) -> list[str]:
    """What a person who looks at the sheet would not guess of the records."""
    areas = len(sheet.merged_cell_ranges or [])
    told = [f"{areas} merged areas have their value in their first cell (`merged: all` spreads it)"]
    said = told if areas and merged == "first" else []
    if known is not None:
        said += [f"{known.hidden} hidden rows are read too"] if known.hidden else []
        said += [f"{known.errors} cells show an error and are read as empty"] if known.errors else []
        said += [f"{known.uncomputed} formulas without a result are read as empty"] if known.uncomputed else []
    return said


@dataclass
class _Book:
    """A workbook that is open, and whether its file is a zip of XML."""

    path: Path
    workbook: CalamineWorkbook
    is_zip: bool

    def figures(self, sheet: str) -> Figures | None:
        """What the file's XML says of a sheet. Raises Refused for XML that is damaged."""
        if not self.is_zip:
            return None
        now = self.path.stat()
        with _sound_xml(self.path):
            return _known(self.path, now.st_mtime_ns, now.st_size, sheet)

    def sheet(self, name: str) -> CalamineSheet:
        """Raises Refused for a sheet that cannot be held: calamine would end the process."""
        known = self.figures(name)
        if known is not None:
            _refuse_vast(known, name, self.path)
        return self.workbook.get_sheet_by_name(name)


@lru_cache(maxsize=64)
def _known(path: Path, changed_ns: int, size_bytes: int, sheet: str) -> Figures | None:
    """Kept, for a sheet is looked at, read and counted."""
    with ZipFile(path) as container:
        return figures(container, sheet)


def _refuse_vast(known: Figures, sheet: str, path: Path) -> None:
    if known.area > MOST_CELLS:
        raise Refused(
            f"sheet '{sheet}' of {path} spans {known.area:,} cells",
            why=f"{MOST_CELLS:,} can be held",
            instead="delete what stands far from the table, or save the sheet as CSV",
        )


@contextmanager
def _sound_xml(path: Path) -> Iterator[None]:
    try:
        yield
    except (ExpatError, ParseError, ValueError, LookupError) as error:
        raise _damaged(path, f"its XML cannot be read ({error})") from error


@contextmanager
def _opened(path: Path) -> Iterator[_Book]:
    with needing("reading spreadsheets", "python-calamine"):
        from python_calamine import CalamineError, CalamineWorkbook, PasswordError
    try:
        if _is_compound(path):
            with CalamineWorkbook.from_path(path) as workbook:
                yield _Book(path, workbook, is_zip=False)
            return
        with opened(path, "spreadsheet") as container:
            if SECRETS in container.namelist() and b"encryption-data" in container.read(SECRETS):
                raise protected(path)
            with _sound_xml(path):
                sheets = tables(container)
            for name, known in sheets.items():  # all of them are read when such a file is opened
                _refuse_vast(known, name, path)
            with CalamineWorkbook.from_path(path) as workbook:
                yield _Book(path, workbook, is_zip=True)
    except PasswordError as error:
        raise protected(path) from error
    except CalamineError as error:
        raise _damaged(path, str(error)) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # how a bug in calamine's Rust shows; it has no importable name
            raise _damaged(path, str(error)) from error
        raise


def _is_compound(path: Path) -> bool:
    """Whether it is an old workbook. Raises Refused for a file that cannot be read, and for one under a password."""
    try:
        with path.open("rb") as file:
            if file.read(len(compound.MARK)) != compound.MARK:
                return False
    except OSError as error:
        raise Refused(f"{path} cannot be read", why=error.strerror or str(error)) from error
    if compound.holds(path) == "protected":
        raise protected(path)
    if not compound.is_whole(path):
        raise _damaged(path, "it is cut off")
    return True


def _damaged(path: Path, why: str) -> Refused:
    instead = "open it in a spreadsheet program and save it again"
    return Refused(f"{path} is no sound spreadsheet", why=why, instead=instead)
