"""How many sections, paragraphs or rows of a table a web page holds, by the tags of its tree written out in order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import NamedTuple

from affina.data.webpage import BLOCKS, CELLS, HIDDEN, LINKED, ROLES, RUN, SPACE, UNSEEN, VOID, WIDEST

RAW = "script|style|xmp|iframe|noembed|noframes|plaintext"
SAID = r"(?:\s+=?[^\s=>]+(?:=\"[^\"]*\")?)*"
TOKEN = re.compile(
    rf"<!--.*?-->|<(?P<raw>{RAW})(?P<marks>{SAID})>(?P<inside>.*?)</(?P=raw)>"
    rf"|<(?P<end>/?)(?P<name>[A-Za-z][^\s/>]*)(?P<said>{SAID})\s*/?>|(?P<text>[^<]+)|<",
    re.S,
)
"""In a tree that is written out every value of an attribute stands in double quotes, and every end is there."""
ATTRIBUTE = re.compile(r"(=?[^\s=>]+)(?:=\"([^\"]*)\")?")
TEXTS = frozenset(["xmp", "noembed", "noframes", "plaintext"])
"""Of which the letters are seen, whatever they are."""
EMPTY = frozenset([*VOID.split("|"), "basefont", "bgsound", "frame", "keygen"])
AROUND = frozenset(["nav", "aside", "menu", "header", "footer"])
ENCLOSING = frozenset(["article", "main", "section"])
HEADING = re.compile("h[1-6]")


class Page(NamedTuple):
    """A part of a page as it is written out, whether all of it is read, and whether it is in an article."""

    source: str
    whole: bool
    enclosed: bool = False


def countable(page: Page) -> bool:
    """Whether the tags of the tree can be told from its texts: not where a formula may hold an element of raw text."""
    return "<math" not in page.source or not any(f"<{name}" in page.source for name in RAW.split("|"))


def count_paragraphs(page: Page) -> int:
    """Blocks of text."""
    return len(_kinds(page))


def count_sections(page: Page) -> int:
    """Headings that follow one another, with what is under them; and what is above the first."""
    return len(re.findall("h+p*|^p+", _kinds(page)))


def count_rows(source: str, table: int, headed: bool) -> int | None:
    """The rows of the table of this number, counted from 1 among those with rows and no other inside; without one that
    names the columns, and without blank ones of another width. None where there is no such table."""
    tables = _tables(source)
    if len(tables) < table:
        return None
    rows = [_Row(0, False), *_filled(tables[table - 1])]
    width = max(row.width for row in rows)
    return sum(row.width == width or row.filled for row in rows[1 + headed :])


class _Tag(NamedTuple):
    """Where an element begins or ends, or (`name` empty) a text."""

    name: str
    begins: bool = True
    said: str = ""
    """Its attributes."""
    empty: bool = False
    """No end follows its beginning."""
    text: str = ""


@dataclass
class _Block:
    """What was gathered since the last block ended."""

    text: str = ""
    linked: int = 0

    def kind(self, heading: bool, kept: bool) -> str:
        """`h` for a heading, `p` for anything else, a capital where it is a link, `w` for white space that is `kept`;
        empty where it is no block."""
        if not (self.text.strip("\n") if kept else self.text.strip()).strip(" |"):
            return ""
        kind = "w" if not self.text.strip() else "h" if heading else "p"
        return kind.upper() if self.linked / max(1, len("".join(self.text.split()))) > LINKED else kind


@dataclass
class _Row:
    """A row's columns, and whether a cell of it holds text."""

    width: int
    filled: bool
    cells: list[tuple[int, int, bool]] = field(default_factory=list)
    """The columns and rows of each, and whether it holds text."""


def _kinds(page: Page) -> str:
    """A letter for each block; runs of links are left out."""
    found, block = "", _Block()
    rows = links = kept = 0
    mark = False  # what stands before an item makes it a block
    for tag in _seen(page):
        if not tag.name:
            block.text += tag.text if kept else SPACE.sub(" ", tag.text)
            block.linked += len("".join(tag.text.split())) if links else 0
        elif tag.name == "br":
            block.text += "\n" if tag.begins and not rows else " "
        elif tag.name == "a":
            links += 1 if tag.begins else -1
        elif tag.name in BLOCKS:
            inside = rows > 0 and (tag.name != "tr" or tag.begins)
            rows += (1 if tag.begins else -1) if tag.name == "tr" else 0
            if inside or (tag.name == "tr" and rows > 0 and not tag.begins):
                block.text += " | " if inside and tag.begins and tag.name in CELLS and block.text.strip() else " "
                continue
            kind = block.kind(HEADING.fullmatch(tag.name) is not None and not tag.begins, kept > 0)
            found += kind.replace("w", "p") if mark else kind
            block, mark = _Block(), tag.begins if tag.name == "li" else mark and not kind
            kept += (1 if tag.begins else -1) if tag.name == "pre" else 0
    found += block.kind(heading=False, kept=kept > 0)
    return (found if page.whole else re.sub(rf"[HP]{{{RUN},}}", "", found)).replace("w", "").lower()


def _seen(page: Page) -> Iterator[_Tag]:
    """The tags and texts of what is not hidden, and is not around what the page is about."""
    enclosing, unseen = int(page.enclosed), _Unseen(page.whole)
    for number, tag in enumerate(_tags(page.source)):
        if unseen.holds(tag, bool(number) and tag.begins and _beside(tag.name, enclosing, page)):
            continue
        if tag.name in ENCLOSING:
            enclosing += 1 if tag.begins else -1
        yield tag
        if tag.empty:
            yield _Tag(tag.name, begins=False)


def _tags(source: str) -> Iterator[_Tag]:
    """Everything but comments and templates."""
    templates = formulas = 0
    for found in TOKEN.finditer(source):
        name, begins = found["name"] or "", not found["end"]
        templates += (1 if begins else -1) if name == "template" else 0
        formulas += (1 if begins else -1) if name == "math" else 0  # in them every element has an end
        if templates or name == "template":
            continue
        if raw := found["raw"]:
            yield _Tag(raw, True, found["marks"])
            yield _Tag("", text=found["inside"] if raw in TEXTS else "")
            yield _Tag(raw, False)
        elif name:
            yield _Tag(name, begins, found["said"], name in EMPTY and not formulas)
        elif found["text"]:
            yield _Tag("", text=unescape(found["text"]))


def _beside(name: str, enclosing: int, page: Page) -> bool:
    """Whether it is navigation or the like; a header or a footer in an article is its own."""
    return not page.whole and name in AROUND and not (enclosing and name in ("header", "footer"))


def _unseen(name: str, said: str, whole: bool) -> bool:
    if name in UNSEEN:
        return True
    held = {key: unescape(value or "") for key, value in ATTRIBUTE.findall(said)}
    if "hidden" in held or HIDDEN.search(held.get("style", "")):
        return True
    return not whole and (held.get("role", "").lower() in ROLES or held.get("aria-hidden") == "true")


def _tables(source: str) -> list[list[_Row]]:
    """Of every table without another inside, in order, the rows that have cells."""
    found: list[list[_Row]] = []
    around: list[list[_Row]] = []
    outer: set[int] = set()
    unseen = _Unseen()
    for tag in _tags(source):
        name, begins = tag.name, tag.begins
        held = around[-1][-1].cells if around and around[-1] else []
        if name == "table" and begins:
            outer |= {id(each) for each in around}
            found.append([])
            around.append(found[-1])
        elif name == "table" and around:
            around.pop()
        elif name == "tr" and begins and around:
            around[-1].append(_Row(0, False))
        elif name in CELLS and begins and around and around[-1]:
            held.append((_span(tag.said, "colspan"), _span(tag.said, "rowspan"), False))
            unseen = _Unseen()
        if held and not unseen.holds(tag) and tag.text.strip().strip(" |"):
            held[-1] = (*held[-1][:2], True)
    return [kept for rows in found if id(rows) not in outer and (kept := [row for row in rows if row.cells])]


@dataclass
class _Unseen:
    """An element that is open and that nobody sees."""

    whole: bool = True
    """Whether what belongs to no page's own text is seen."""
    name: str = ""
    depth: int = 0

    def holds(self, tag: _Tag, beside: bool = False) -> bool:
        """Whether this tag or text stands in one, or begins one; `beside` says that it does."""
        if self.name:
            self.depth += 0 if tag.name != self.name else 1 if tag.begins else -1
            self.name = self.name if self.depth else ""
            return True
        if beside or (tag.name and tag.begins and _unseen(tag.name, tag.said, self.whole)):
            self.name, self.depth = ("", 0) if tag.empty else (tag.name, 1)
            return True
        return False


def _span(said: str, name: str) -> int:
    many = dict(ATTRIBUTE.findall(said)).get(name) or "1"
    return max(1, min(int(many), WIDEST)) if many.isascii() and many.isdigit() and len(many) < 9 else 1


def _filled(rows: list[_Row]) -> list[_Row]:
    """The rows with what reaches into them from above: a cell of several rows is in each of them."""
    below: dict[int, tuple[int, bool]] = {}
    for row in rows:
        above, below = below, {column: (left - 1, full) for column, (left, full) in below.items() if left > 1}
        for columns, down, full in row.cells:
            _reach(row, above)
            row.filled = row.filled or full
            for column in range(row.width, row.width + min(columns, WIDEST - row.width)):
                if down > 1:
                    below[column] = (down - 1, full)
                row.width = column + 1
        _reach(row, above)
    return rows


def _reach(row: _Row, above: dict[int, tuple[int, bool]]) -> None:
    while row.width in above:
        row.filled = row.filled or above[row.width][1]
        row.width += 1
