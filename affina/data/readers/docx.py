"""Word documents: paragraphs, headings, lists, notes and tables as text, whole, by section or by paragraph."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from xml.parsers.expat import ExpatError

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import compound
from affina.data.blocks import Block, By, parts
from affina.data.docx_count import count_parts
from affina.data.library import needing
from affina.data.zipped import opened, protected

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
GONE = frozenset({f"{W}del", f"{W}moveFrom", f"{W}rPr", f"{W}pPr", f"{W}instrText", f"{W}delText", f"{W}rt"})
"""What a reader of the page does not see: what was deleted, and settings."""
WORDS = frozenset({f"{W}t", "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"})
TWICE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
"""A copy of what stands beside it, for old programs."""
BREAKS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
DAMAGED = (AssertionError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What python-docx raises on damaged files beside its own errors."""
HEADING = re.compile(r"(?:heading|titolo|überschrift|titre|título)\s*(\d)", re.I)


class Docx(Reader):
    """Changes that are tracked are read as accepted; headers, footers and comments are not read. `line` is the number
    of the paragraph or table that a record begins with, blank ones counted, from 1."""

    suffixes: ClassVar[tuple[str, ...]] = (".docx",)
    texts: ClassVar[bool] = True

    by: By = "document"
    """What one record is: the whole text, what stands under a heading with it, or a paragraph or table."""

    def look(self, path: Path) -> tuple[Docx, str]:
        """This reader. Raises Refused for what is no Word document, is damaged, or is under a password."""
        with needing("reading Word documents", "python-docx"):
            import docx as _  # noqa: F401
        _refuse_other(path)
        return self, f"a Word document, one record per {self.by}"

    def records(self, path: Path) -> Iterator[Record]:
        """The records in order; a document without text is one with a problem."""
        empty = True
        for line, text in parts(_read(path), self.by):
            empty = False
            yield Record(text, str(path), line)
        if empty:
            yield Record("", str(path), 1, "the document holds no text")

    def count(self, path: Path) -> int | None:
        """One, where the record is the document; else by the elements of its XML. A document without text is one."""
        if self.by == "document":
            return 1
        with opened(path, "Word document") as container:
            try:
                return count_parts(container, self.by == "section")
            except ExpatError:  # the library's parser takes what this one does not: there is no second count
                return None


def _refuse_other(path: Path) -> None:
    """Raises Refused for an old or encrypted document, and a container that is no Word document."""
    try:
        kind = compound.holds(path)
    except (OSError, ValueError):
        kind = None  # opening it says what is wrong
    if kind == "protected":
        raise protected(path)
    if kind:
        raise Refused(f"{path} is no .docx document", why="it is in an older format", instead="save it as .docx")
    with opened(path, "Word document") as container:
        if not any(name.startswith("word/") for name in container.namelist()):
            raise Refused(f"{path} is no Word document", why="it holds no folder `word`, as such documents do")


def _read(path: Path) -> list[Block]:
    """The document's blocks."""
    _refuse_other(path)
    with needing("reading Word documents", "python-docx"):
        from docx import Document
        from docx.opc.exceptions import OpcError
        from lxml.etree import LxmlError
    try:
        return list(_blocks(Document(str(path))))
    except (OpcError, LxmlError, *DAMAGED) as error:
        raise Refused(
            f"{path} cannot be read as a Word document",
            why=" ".join(str(error).split()) or type(error).__name__,
            instead="open it in a word processor and save it again as .docx",
        ) from error


def _blocks(document: Any) -> Iterator[Block]:
    levels = _levels(document)
    notes = _notes(document)
    for number, element in enumerate(_tops(document.element.body), 1):
        if element.tag == f"{W}tbl":
            yield Block(number, "\n".join(_rows(element)))
            continue
        text = _text(element)
        yield Block(number, _mark(element) + text if text.strip() else "", _level(element, levels))
        for boxed in element.iter(f"{W}txbxContent"):
            yield Block(number, "\n".join(filter(None, map(_text, _paragraphs(boxed)))))
        for reference in [*element.iter(f"{W}footnoteReference"), *element.iter(f"{W}endnoteReference")]:
            if note := notes.get((reference.tag, reference.get(f"{W}id"))):
                yield Block(number, note)


def _tops(body: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, those in content controls and in inserted parts too."""
    for element in body:
        if element.tag in (f"{W}p", f"{W}tbl"):
            yield element
        elif element.tag in (f"{W}sdt", f"{W}sdtContent", f"{W}ins", f"{W}customXml", f"{W}moveTo", f"{W}smartTag"):
            yield from _tops(element)


def _paragraphs(element: Any) -> Iterator[Any]:
    """Every paragraph in it, at any depth, but no copies for old programs."""
    for paragraph in element.iter(f"{W}p"):
        if not any(above.tag == TWICE for above in paragraph.iterancestors()):
            yield paragraph


def _text(element: Any) -> str:
    """The words of a paragraph as they are seen; text boxes in it are blocks of their own."""
    pieces: list[str] = []
    for child in element:
        if child.tag in GONE or child.tag in (TWICE, f"{W}txbxContent"):
            continue
        if child.tag in WORDS:
            pieces.append(child.text or "")
        elif child.tag in BREAKS:
            pieces.append(BREAKS[child.tag])
        else:
            pieces.append(_text(child))
    return "".join(pieces)


def _rows(table: Any) -> Iterator[str]:
    """A line for each row; cells apart by bars, and what is in one on one line."""
    for row in table.iter(f"{W}tr"):
        if next(row.iterancestors(f"{W}tbl")) is not table:
            continue  # of a table in a cell: it is read with the cell
        cells = [cell for cell in row.iter(f"{W}tc") if next(cell.iterancestors(f"{W}tr")) is row]
        told = [" ".join(" ".join(map(_text, _paragraphs(cell))).split()) for cell in cells]
        if any(told):
            yield " | ".join(told)


def _level(paragraph: Any, levels: dict[str, int]) -> int:
    """Of a heading, its level from 1; 0 for any other paragraph."""
    settings = paragraph.find(f"{W}pPr")
    if settings is None:
        return 0
    outline = settings.find(f"{W}outlineLvl")
    if outline is not None and (outline.get(f"{W}val") or "").isdigit():
        return (int(outline.get(f"{W}val")) + 1) % 10  # 9 is body text
    style = settings.find(f"{W}pStyle")
    return levels.get(style.get(f"{W}val") or "", 0) if style is not None else 0


def _levels(document: Any) -> dict[str, int]:
    """The styles that make a paragraph a heading, by identity, and which level; what a style is based on counts."""
    levels: dict[str, int] = {}
    for style in document.styles:
        named, seen = style, 0
        while named is not None and seen < 20:
            if (named.name or "") == "Title":
                levels[style.style_id] = 1
                break
            if found := HEADING.match(named.name or ""):
                levels[style.style_id] = int(found[1])
                break
            named, seen = getattr(named, "base_style", None), seen + 1
    return levels


def _mark(paragraph: Any) -> str:
    """A dash before an item of a list: which number it has stands in no paragraph."""
    settings = paragraph.find(f"{W}pPr")
    return "- " if settings is not None and settings.find(f"{W}numPr") is not None else ""


def _notes(document: Any) -> dict[tuple[str, str], str]:
    """Footnotes and endnotes, by the tag that refers to one and its number."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    notes: dict[tuple[str, str], str] = {}
    for relation in document.part.rels.values():
        kind = relation.reltype.rpartition("/")[2]
        if kind in ("footnotes", "endnotes") and not relation.is_external:
            for note in etree.fromstring(relation.target_part.blob, parser):
                text = " ".join(" ".join(map(_text, note.iter(f"{W}p"))).split())
                if text and not note.get(f"{W}type"):
                    notes[f"{W}{kind[:-1]}Reference", note.get(f"{W}id")] = f"[{note.get(f'{W}id')}] {text}"
    return notes
