"""EPUB books: the text of their chapters in reading order, the whole book or a chapter at a time."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple
from urllib.parse import unquote
from zipfile import ZipFile

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import declared, webpage
from affina.data.library import needing
from affina.data.zipped import opened

CONTAINER = "META-INF/container.xml"
SECRETS = "META-INF/encryption.xml"
FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Encryption of fonts, which leaves the text open (EPUB 3.3, 4.4)."""
ITEM = re.compile(rb"<(?:[\w.-]+:)?itemref[\s/>]")
COMMENT = re.compile(rb"<!--.*?-->", re.S)


class Epub(Reader):
    """Chapters are the items of the book's spine. `line` is a chapter's number there, counted from 1; a chapter without
    text (a cover, a table of contents) is a record with a problem, or nothing where the record is the book."""

    suffixes: ClassVar[tuple[str, ...]] = (".epub",)
    texts: ClassVar[bool] = True

    by: Literal["document", "chapter"] = "document"
    """What one record is: the whole book, or one item of its spine."""

    def look(self, path: Path) -> tuple[Epub, str]:
        """This reader, and how many chapters there are."""
        with opened(path, "EPUB book") as container:
            return self, f"an EPUB of {len(_package(container, path).spine)} chapters, one record per {self.by}"

    def records(self, path: Path) -> Iterator[Record]:
        """The book or its chapters. Raises Refused for what is no EPUB, is damaged, or is locked (DRM)."""
        texts: list[str] = []
        with opened(path, "EPUB book") as container:
            for number, name in enumerate(_package(container, path).spine, 1):
                text, problem = _chapter(container, name)
                if self.by == "chapter":
                    yield Record(text, str(path), number, problem)
                elif text:
                    texts.append(text)
        if self.by == "document":
            yield Record("\n\n".join(texts), str(path), 1, "" if texts else "no chapter of the book holds text")

    def count(self, path: Path) -> int | None:
        """One for the book; by chapter, the references in the bytes of its package document."""
        if self.by == "document":
            return 1
        with opened(path, "EPUB book") as container:
            package = _package(container, path)
            return len(ITEM.findall(COMMENT.sub(b"", container.read(package.name))))


class _Package(NamedTuple):
    """The package document's name in the container, and those of the chapters; None for one that is not there."""

    name: str
    spine: list[str | None]


def _package(container: ZipFile, path: Path) -> _Package:
    names = set(container.namelist())
    if CONTAINER not in names:
        raise Refused(f"{path} is no EPUB book", why=f"it holds no {CONTAINER}")
    root = next((_ending(each, "rootfile").get("full-path") for each in [_xml(container, CONTAINER, path)]), None)
    name = unquote(root or "")
    if name not in names:
        raise Refused(f"{path} is no sound EPUB book", why=f"its package document '{name}' is not in it")
    package = _xml(container, name, path)
    items = {item.get("id"): item for item in package.iter() if _local(item) == "item"}
    folder = posixpath.dirname(name)
    spine: list[str | None] = []
    for reference in (each for each in package.iter() if _local(each) == "itemref"):
        item = items.get(reference.get("idref"))
        place = posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or ""))) if item is not None else ""
        spine.append(place if place in names else None)
    if not spine:
        raise Refused(f"{path} is no sound EPUB book", why="its package document names no chapters")
    _refuse_locked(container, names, {each for each in spine if each}, path)
    return _Package(name, spine)


def _refuse_locked(container: ZipFile, names: set[str], spine: set[str], path: Path) -> None:
    """Raises Refused where chapters are encrypted; fonts may be."""
    if SECRETS not in names:
        return
    for entry in (each for each in _xml(container, SECRETS, path).iter() if _local(each) == "EncryptedData"):
        method = _ending(entry, "EncryptionMethod").get("Algorithm", "")
        target = unquote(_ending(entry, "CipherReference").get("URI", ""))
        if method not in FONTS and target in spine:
            raise Refused(
                f"{path} is locked to a reading system (DRM)",
                why=f"its chapter '{target}' is encrypted",
                instead="use a copy without such protection",
            )


def _chapter(container: ZipFile, name: str | None) -> tuple[str, str]:
    """A chapter's text and what is wrong with it."""
    if name is None:
        return "", "the chapter is not in the book"
    content = container.read(name)
    codec = declared.codec(content[: declared.HEAD]) or "utf-8"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        codec = "utf-16"
    try:
        page = content.decode(codec)
    except UnicodeError:
        return "", f"the chapter {name} is not {codec}, as it says"
    xhtml = page if page.lstrip("\ufeff \r\n").startswith("<?xml") else f'<?xml version="1.0"?>{page}'
    text = "\n\n".join(block.text for block in webpage.blocks(xhtml))
    return text, "" if text else f"the chapter {name} holds no text of its own"


def _xml(container: ZipFile, name: str, path: Path) -> Any:
    """An entry's XML. Raises Refused for what is not well-formed, or declares entities."""
    with needing("reading EPUB books", "defusedxml"):
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring
    try:
        return fromstring(container.read(name))
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise Refused(f"{path} is no sound EPUB book", why=f"'{name}' in it cannot be read ({error})") from error


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _ending(element: Any, name: str) -> dict[str, str]:
    """The attributes of the first element of this name in another; none where there is none."""
    return next((dict(each.attrib) for each in element.iter() if _local(each) == name), {})
