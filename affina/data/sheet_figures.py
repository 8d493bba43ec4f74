"""What the XML of a spreadsheet (.xlsx, .ods) says of one of its sheets: rows that hold something, hidden rows,
errors, formulas that were never computed, the area its cells span; read as a stream, not by the library of cells."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat
from zipfile import ZipFile

from affina.data.library import needing

CHUNK = 1 << 16
CELL = re.compile(r"([A-Z]+)(\d+)")
WORKBOOK = "xl/workbook.xml"
OPEN_DOCUMENT = "content.xml"


@dataclass
class Figures:
    """Of one sheet. Rows are counted from 1, as the sheet shows them."""

    filled: list[tuple[int, int]] = field(default_factory=list)
    """Rows that hold anything but white space, as runs: the first of them, and how many follow one another."""
    hidden: int = 0
    """Of those, rows that are not shown."""
    errors: int = 0
    """Cells that show an error such as #N/A."""
    uncomputed: int = 0
    """Formulas whose result is not in the file."""
    width: int = 0
    """The last column in which a cell has a value, if only white space or an error."""
    height: int = 0
    """The last row in which one has."""

    def rows(self, after: int) -> int:
        """How many rows below this one hold something."""
        return sum(max(0, first + many - 1 - max(after, first - 1)) for first, many in self.filled)

    @property
    def area(self) -> int:
        """Cells of the rectangle from the first cell of the sheet to the last that has a value: they are held."""
        return self.width * self.height

    def span(self, last_row: int, last_column: int) -> None:
        """A cell here has a value."""
        self.height, self.width = max(self.height, last_row), max(self.width, last_column)

    def fill(self, first: int, many: int, hidden: bool) -> None:
        """So many rows from this one on hold something."""
        if self.filled and sum(self.filled[-1]) == first:
            self.filled[-1] = (self.filled[-1][0], self.filled[-1][1] + many)
        else:
            self.filled.append((first, many))
        self.hidden += many if hidden else 0


def tables(container: ZipFile) -> dict[str, Figures]:
    """Of every sheet of an OpenDocument file, by name; nothing for any other file."""
    if OPEN_DOCUMENT not in container.namelist():
        return {}
    listener = _Tables()
    _heard(container, OPEN_DOCUMENT, listener)
    return listener.figures


def figures(container: ZipFile, sheet: str) -> Figures | None:
    """Of the sheet of this name; None where the container has no XML of it (.xlsb)."""
    names = container.namelist()
    if WORKBOOK in names:
        entry = _entry(container, sheet)
        if entry not in names:
            return None
        strings = _Strings()
        if "xl/sharedStrings.xml" in names:
            _heard(container, "xl/sharedStrings.xml", strings)
        cells = _Cells(strings.blank)
        _heard(container, entry, cells)
        return cells.figures
    return tables(container).get(sheet)


def _entry(container: ZipFile, sheet: str) -> str:
    """The container's entry of a sheet; empty where the workbook does not name it."""
    with needing("reading spreadsheets", "defusedxml"):
        from defusedxml.ElementTree import fromstring
    book = fromstring(container.read(WORKBOOK))
    wanted = [each for each in book.iter() if _local(each.tag) == "sheet" and each.get("name") == sheet]
    key = next((value for each in wanted for name, value in each.attrib.items() if _local(name) == "id"), None)
    relations = "xl/_rels/workbook.xml.rels"
    if key is None or relations not in container.namelist():
        return ""
    found = [each for each in fromstring(container.read(relations)) if each.get("Id") == key]
    target = found[0].get("Target") or "" if found else ""
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join("xl", target))


def _local(name: Any) -> str:
    return str(name).rpartition("}")[2].rpartition(":")[2]


def _heard(container: ZipFile, entry: str, listener: _Listener) -> None:
    """Tells the listener of the elements. Raises ExpatError for what is not XML, ValueError for declared entities."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: listener.start(_local(name), attributes)
    parser.EndElementHandler = lambda name: listener.end(_local(name))
    parser.CharacterDataHandler = listener.text
    parser.EntityDeclHandler = _no_entities
    with container.open(entry) as stream:
        while chunk := stream.read(CHUNK):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)


def _no_entities(*declaration: Any) -> None:
    raise ValueError(f"it declares the entity '{declaration[0]}'")


class _Listener:
    """Hears of a sheet's elements."""

    def __init__(self) -> None:
        self.kept: list[str] | None = None
        """The text of the element that is listened to."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def text(self, text: str) -> None:
        if self.kept is not None:
            self.kept.append(text)


class _Strings(_Listener):
    """Which of a workbook's shared strings are blank, one byte each."""

    def __init__(self) -> None:
        super().__init__()
        self.blank, self.spoken, self.phonetic = bytearray(), False, False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            self.spoken = False
        self.phonetic = self.phonetic or name == "rPh"
        self.kept = [] if name == "t" and not self.phonetic else None

    def end(self, name: str) -> None:
        if name == "t" and self.kept is not None:
            self.spoken = self.spoken or bool("".join(self.kept).strip())
        self.kept = None
        self.phonetic = self.phonetic and name != "rPh"
        if name == "si":
            self.blank.append(not self.spoken)


class _Cells(_Listener):
    """A worksheet's rows (ECMA-376, part 1, 18.3.1)."""

    def __init__(self, blank: bytearray) -> None:
        super().__init__()
        self.figures, self.blank = Figures(), blank
        self.row = self.column = 0
        self.hidden = self.formula = self.valued = self.filled = self.phonetic = False
        self.kind = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self.row = int(attributes.get("r", self.row + 1))
            self.hidden, self.column, self.filled = attributes.get("hidden") in ("1", "true"), 0, False
        elif name == "c":
            place = CELL.match(attributes.get("r", ""))
            self.column = _number(place[1]) if place else self.column + 1
            self.kind, self.formula, self.valued = attributes.get("t", "n"), False, False
        elif name == "f":
            self.formula = True
        elif name in ("v", "is"):
            self.figures.span(self.row, self.column)
        self.phonetic = self.phonetic or name == "rPh"
        self.kept = [] if name in ("v", "t") and not self.phonetic else None

    def end(self, name: str) -> None:
        if name in ("v", "t") and self.kept is not None:
            self._value("".join(self.kept))
        elif name == "c":
            self.figures.errors += self.kind == "e"
            self.figures.uncomputed += self.formula and not self.valued and self.kind != "str"
        elif name == "row" and self.filled:
            self.figures.fill(self.row, 1, self.hidden)
        self.kept = None
        self.phonetic = self.phonetic and name != "rPh"

    def _value(self, text: str) -> None:
        self.valued = self.valued or bool(text)
        shared = self.kind == "s" and text.isdigit()
        blank = bool(self.blank[int(text)]) if shared and int(text) < len(self.blank) else not text.strip()
        self.filled = self.filled or (not blank and self.kind != "e")


class _Tables(_Listener):
    """Every table's rows (OpenDocument 1.3, part 3, 9.1), where rows and cells say how often they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: dict[str, Figures] = {}
        self.table = Figures()
        self.hidden = self.valued = self.filled = False
        self.row = self.column = 0
        self.rows = self.columns = 1

    def start(self, name: str, attributes: dict[str, str]) -> None:
        held = {_local(key): value for key, value in attributes.items()}
        if name == "table":
            self.table = self.figures[held.get("name", "")] = Figures()
            self.row = 0
        elif name == "table-row":
            self.rows, self.column, self.filled = int(held.get("number-rows-repeated", 1)), 0, False
            self.hidden = held.get("visibility", "visible") != "visible"
        elif name in ("table-cell", "covered-table-cell"):
            self.columns = int(held.get("number-columns-repeated", 1))
            self.valued = held.get("value-type", "string") not in ("string", "void")
            self.valued = self.valued or bool(held.get("string-value", "").strip())
            self.kept = []
            if "value-type" in held:
                self.table.span(self.row + self.rows, self.column + self.columns)
        elif name == "p" and self.kept is not None:
            self.table.span(self.row + self.rows, self.column + self.columns)

    def end(self, name: str) -> None:
        if name in ("table-cell", "covered-table-cell"):
            self.column += self.columns
            self.filled = self.filled or self.valued or bool("".join(self.kept or []).strip())
            self.kept = None
        elif name == "table-row":
            if self.filled:
                self.table.fill(self.row + 1, self.rows, self.hidden)
            self.row += self.rows


def _number(letters: str) -> int:
    """A column's number by its letters: A is 1, AA is 27."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number
