"""PDF: the text that is written in it, whole or by page; what is only a picture of text is said, not read."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data.hyphens import joined
from affina.data.library import needing
from affina.data.zipped import protected

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

START = 1024
"""Bytes within which `%PDF-` must stand (ISO 32000-1, annex H.3.4.1)."""
WRITTEN_OUT = {0: "", 0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st"}
"""Letters that a font joins in one sign are letters; a NUL is none."""
DAMAGED = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, NotImplementedError, OSError,
    RecursionError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
"""What pypdf raises on damaged files beside its own errors."""


class Pdf(Reader):
    """Text in the order in which it was written into the file; words divided at line ends are joined. `line` is the
    number of the page, counted from 1. No text is recognised in pictures: a page that is one is a record with a
    problem."""

    suffixes: ClassVar[tuple[str, ...]] = (".pdf",)
    texts: ClassVar[bool] = True

    by: Literal["document", "page"] = "document"
    """What one record is: the whole text, pages a blank line apart, or a page."""

    def look(self, path: Path) -> tuple[Pdf, str]:
        """This reader, and how many pages there are. Raises Refused for what is no PDF, or is under a password."""
        with _opened(path) as document:
            return self, f"a PDF of {len(document.pages)} pages, one record per {self.by}"

    def records(self, path: Path) -> Iterator[Record]:
        """The document or its pages; and pages that are pictures, damaged or missing, as records with a problem. Where
        the record is the document, blank pages are passed over."""
        file = str(path)
        texts: list[str] = []
        bad: list[Record] = []
        with _opened(path) as document:
            stated = _stated(document)
            for number in range(1, len(document.pages) + 1):
                text, problem = _page(document, number - 1)
                if self.by == "page":
                    yield Record(joined(text), file, number, problem or ("" if text else "the page is blank"))
                elif problem:
                    bad.append(Record("", file, number, problem))
                elif text:
                    texts.append(text)
        if self.by == "document":
            if texts or not bad:
                yield Record(joined("\n\n".join(texts)), file, 1, "" if texts else "every page of it is blank")
            yield from bad
            if stated not in (None, number):
                yield Record("", file, number, f"the file says that it has {stated} pages, and {number} were found")

    def count(self, path: Path) -> int | None:
        """By page: the number of pages that the root of the page tree states."""
        if self.by != "page":
            return None
        with _opened(path) as document:
            return _stated(document)


@contextmanager
def _opened(path: Path) -> Iterator[PdfReader]:
    with needing("reading PDF files", "pypdf"):
        from pypdf import PasswordType, PdfReader
        from pypdf.errors import DependencyError, PyPdfError
    try:
        file = path.open("rb")
    except OSError as error:
        raise Refused(f"{path} cannot be read", why=error.strerror or str(error)) from error
    with file:
        if b"%PDF-" not in file.read(START):
            raise Refused(f"{path} is no PDF", why=f"`%PDF-` does not stand in its first {START} bytes")
        try:
            with _quiet():
                document = PdfReader(file)
                locked = document.is_encrypted and document.decrypt("") is PasswordType.NOT_DECRYPTED
                pages = 0 if locked else len(document.pages)
        except DependencyError as error:
            raise Refused(f"{path} is encrypted", why=str(error), instead="pip install 'affina[documents]'") from error
        except (PyPdfError, *DAMAGED) as error:
            raise _no_sound_pdf(path, str(error)) from error
        if locked:
            raise protected(path)
        if not pages:
            raise _no_sound_pdf(path, "it has no pages")
        yield document


def _stated(document: PdfReader) -> int | None:
    """The number of pages that the root of the page tree states."""
    with _quiet():
        try:
            return int(document.root_object["/Pages"]["/Count"])  # type: ignore[index]
        except DAMAGED:
            return None


def _no_sound_pdf(path: Path, why: str) -> Refused:
    return Refused(f"{path} is no sound PDF", why=why, instead="fetch or export it again: it may be cut off")


def _page(document: PdfReader, place: int) -> tuple[str, str]:
    """A page's text without white space around it, and what is wrong with it."""
    from pypdf.errors import PyPdfError

    try:
        with _quiet():
            page = document.pages[place]
            text = page.extract_text().translate(WRITTEN_OUT).strip()
            return text, "" if text or not _drawn(page) else _PICTURE
    except (PyPdfError, *DAMAGED) as error:
        return "", f"the page cannot be read: {error or type(error).__name__}"


_PICTURE = "the page holds no text: it is drawn or scanned, and no text is recognised in pictures (OCR)"


def _drawn(page: PageObject) -> bool:
    """Whether anything is put on the page."""
    contents = page.get_contents()
    return contents is not None and bool(contents.get_data().strip())


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, pypdf's remarks on what it mends are not printed."""
    log = logging.getLogger("pypdf")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)
