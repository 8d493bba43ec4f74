"""How many sections or paragraphs a Word document holds, by the elements of its XML as they come: no tree is made."""

from __future__ import annotations

import posixpath
import re
from xml.parsers import expat
from zipfile import ZipFile

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
TEXTS = frozenset([f"{WORD}t", "http://schemas.openxmlformats.org/officeDocument/2006/math t"])
COPY = "http://schemas.openxmlformats.org/markup-compatibility/2006 Fallback"
UNREAD = frozenset(
    [COPY, *(f"{WORD}{name}" for name in ("del", "moveFrom", "rPr", "pPr", "instrText", "delText", "rt"))]
)
ABOVE = frozenset(
    f"{WORD}{name}" for name in ("document", "body", "sdt", "sdtContent", "ins", "customXml", "moveTo", "smartTag")
)
"""What may stand around the paragraphs and tables of the text itself."""
NOTES = ("footnote", "endnote")
PARAGRAPH, TABLE, BOX, SETTINGS = (f"{WORD}{name}" for name in ("p", "tbl", "txbxContent", "pPr"))
HEADING = re.compile(r"(?:heading|titolo|überschrift|titre|título)\s*[1-9]", re.I)
DEEPEST = 20
CHUNK = 1 << 16


def count_parts(container: ZipFile, sections: bool) -> int | None:
    """Records by section, else by paragraph or table; None where a part that it takes has no usual place."""
    main = _related(container, "", "officeDocument")
    styles = _related(container, main, "styles") if main else ""
    if not styles:
        return None
    notes: set[tuple[str, str]] = set()
    for kind in NOTES:
        if place := _related(container, main, f"{kind}s"):
            notes |= _notes(container, place, kind)
    hearer = _Body(_headings(container, styles), notes)
    _hear(container, main, hearer)
    found = "".join(hearer.kinds)
    return max(1, len(re.findall("h+p*|^p+", found)) if sections else len(found))


def _hear(container: ZipFile, entry: str, hearer: _Hearer) -> None:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = hearer.start
    parser.EndElementHandler = hearer.end
    parser.CharacterDataHandler = hearer.text
    with container.open(entry) as stream:
        while chunk := stream.read(CHUNK):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)


class _Hearer:
    """Hears elements, and keeps the names of those that are open."""

    def __init__(self) -> None:
        self.open: list[str] = []

    def start(self, name: str, held: dict[str, str]) -> None:
        self.open.append(name)

    def end(self, name: str) -> None:
        self.open.pop()

    def text(self, text: str) -> None: ...


class _Found(_Hearer):
    """Attributes of every element of one name, and those of its children by their name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.found = name, list[dict[str, dict[str, str]]]()

    def start(self, name: str, held: dict[str, str]) -> None:
        if name == self.name:
            self.found.append({"": held})
        elif self.open and self.open[-1] == self.name:
            self.found[-1].setdefault(name, held)
        super().start(name, held)


def _related(container: ZipFile, part: str, kind: str) -> str:
    """The entry that a part names as its styles or the like; empty where there is none in the container."""
    folder, name = posixpath.split(part)
    relations = posixpath.join(folder, "_rels", f"{name}.rels")
    if relations not in container.namelist():
        return ""
    hearer = _Found("http://schemas.openxmlformats.org/package/2006/relationships Relationship")
    _hear(container, relations, hearer)
    targets = [held[""] for held in hearer.found if held[""].get("Type", "").rpartition("/")[2] == kind]
    target = targets[0].get("Target", "") if len(targets) == 1 else ""
    place = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
    return place if place in container.namelist() else ""


def _headings(container: ZipFile, entry: str) -> set[str]:
    """The styles that make a paragraph a heading, themselves or by what they are based on."""
    hearer = _Found(f"{WORD}style")
    _hear(container, entry, hearer)
    names, bases = dict[str, str](), dict[str, str]()
    for held in hearer.found:
        key = held[""].get(f"{WORD}styleId", "")
        names[key] = held.get(f"{WORD}name", {}).get(f"{WORD}val", "")
        bases[key] = held.get(f"{WORD}basedOn", {}).get(f"{WORD}val", "")
    found = set()
    for key in names:
        above, left = key, DEEPEST
        while above in names and left and not _names_heading(names[above]):
            above, left = bases[above], left - 1
        if above in names and left:
            found.add(key)
    return found


def _names_heading(name: str) -> bool:
    return name == "Title" or HEADING.match(name) is not None


def _notes(container: ZipFile, entry: str, kind: str) -> set[tuple[str, str]]:
    """Those that hold text, each by its kind and number."""
    hearer = _Notes(kind)
    _hear(container, entry, hearer)
    return hearer.found


class _Paragraphs(_Hearer):
    """Also tells which paragraphs hold text: that of one in a text box is not that of the one around it."""

    def __init__(self) -> None:
        super().__init__()
        self.around: list[list[int]] = []
        """Of every paragraph that is open, whether it holds text, and how much that is not read is open in it."""

    def start(self, name: str, held: dict[str, str]) -> None:
        super().start(name, held)
        if name == PARAGRAPH:
            self.around.append([0, 0])
        elif name in UNREAD and self.around:
            self.around[-1][1] += 1
        elif name == f"{WORD}noBreakHyphen":
            self.fill()

    def end(self, name: str) -> None:
        super().end(name)
        if name == PARAGRAPH and self.around.pop()[0]:
            self.filled()
        elif name in UNREAD and self.around:
            self.around[-1][1] -= 1

    def text(self, text: str) -> None:
        if text.strip() and self.open[-1] in TEXTS:
            self.fill()

    def fill(self) -> None:
        if self.around and not self.around[-1][1]:
            self.around[-1][0] = 1

    def filled(self) -> None:
        """A paragraph with text has ended."""


class _Notes(_Paragraphs):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.key, self.found = kind, ("", ""), set[tuple[str, str]]()

    def start(self, name: str, held: dict[str, str]) -> None:
        if len(self.open) == 1:
            self.key = (self.kind, "" if f"{WORD}type" in held else held.get(f"{WORD}id", ""))
        super().start(name, held)

    def filled(self) -> None:
        if self.key[1]:
            self.found.add(self.key)


class _Body(_Paragraphs):
    """Blocks of the text, `h` for a heading and `p` for anything else: paragraphs, each with the text boxes and notes
    in it, and tables."""

    def __init__(self, headings: set[str], notes: set[tuple[str, str]]) -> None:
        super().__init__()
        self.headings, self.notes = headings, notes
        self.kinds: list[str] = []
        self.top = self.style = self.outline = ""
        self.depth = 0
        """Elements around the outermost paragraph or table."""
        self.own = False
        self.boxes: list[bool] = []
        self.after = 0

    def start(self, name: str, held: dict[str, str]) -> None:
        if not self.top and name in (PARAGRAPH, TABLE) and len(self.open) > 1 and ABOVE.issuperset(self.open):
            self.top, self.depth, self.own, self.after = name, len(self.open), False, 0
            self.style = self.outline = ""
        elif self.top == PARAGRAPH:
            value = held.get(f"{WORD}val", "")
            if self.open[self.depth + 1 :] == [SETTINGS]:
                self.style = value if name == f"{WORD}pStyle" else self.style
                self.outline = value if name == f"{WORD}outlineLvl" else self.outline
            if name == BOX:
                self.boxes.append(False)
            kind = name.removeprefix(WORD).removesuffix("Reference")
            self.after += name.endswith("Reference") and (kind, held.get(f"{WORD}id", "")) in self.notes
        super().start(name, held)

    def end(self, name: str) -> None:
        super().end(name)
        if name == BOX and self.boxes:
            self.after += self.boxes.pop()
        if self.top and len(self.open) == self.depth:
            level = (int(self.outline) + 1) % 10 if self.outline.isdigit() else self.style in self.headings
            self.kinds += [("h" if level else "p") * self.own, "p" * self.after]
            self.top = ""

    def filled(self) -> None:
        copied = COPY in self.open
        if self.top == PARAGRAPH and not self.boxes:
            self.own = True
        elif not copied:
            self.own = self.own or self.top == TABLE
            self.boxes = [True] * len(self.boxes)
