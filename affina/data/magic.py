"""What a file's bytes say where it is no plain text: which reader takes it, whatever the file is called."""

import re
from pathlib import Path
from zipfile import ZipFile

from affina.core.errors import Refused
from affina.data import compound, encoding
from affina.data.zipped import BROKEN, protected

INSIDE = (("word/", "docx"), ("xl/", "excel"), ("META-INF/container.xml", "epub"), ("ppt/", "a presentation"))
MARKS = {
    b"PAR1": "parquet",
    b"PARE": "parquet",
    b"ARROW1": "arrow",
    b"FEA1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"SQLite format 3\0": "sql",
    b'{"affina": "rows of a database"': "sql",
}
"""How files begin that are one reader's whatever their ending; the last is a copy of what a database gave."""
WRITTEN = {
    b"{\\rtf": "a rich text (RTF) document",
    b'progid="Excel.Sheet"': "an XML spreadsheet of Excel 2003",
    b"urn:schemas-microsoft-com:office:spreadsheet": "an XML spreadsheet of Excel 2003",
    b'progid="Word.Document"': "an XML document of Word 2003",
}
"""What stands near the beginning of documents that are text, but of marks; no reader takes them."""
MIMETYPES = {
    b"application/epub+zip": "epub",
    b"application/vnd.oasis.opendocument.spreadsheet": "excel",
    b"application/vnd.oasis.opendocument.text": "an OpenDocument text",
    b"application/vnd.oasis.opendocument.presentation": "a presentation",
}
"""What the entry `mimetype` of a zip file begins with; EPUB and OpenDocument put it first."""
COMMENTS = r"(?:<!--(?:(?!-->).)*-->\s*)*"
HTML = re.compile(rf"\s*(?:<\?xml[^>]*\?>\s*)?{COMMENTS}<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
XML = re.compile(rf"\s*(?:<\?xml\s|{COMMENTS}(?:<!DOCTYPE\s+[\w:.-]+|<[A-Za-z_][\w:.-]*(?:\s[^<>]*)?/?>))", re.S)


def found(path: Path) -> str | None:
    """The reader whose files begin so, or None where none of them do.

    Raises Refused for office documents that no reader takes, and for those under a password.
    """
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError:
        return None  # whoever reads it says so
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"%PDF-"):
        return "pdf"
    if marked := next((name for mark, name in MARKS.items() if head.startswith(mark)), None):
        return marked
    what = _zipped(path) if head.startswith(b"PK\x03\x04") else compound.holds(path) or _written(head)
    if what == "protected":
        raise protected(path)
    if what and " " in what:
        raise Refused(
            f"{path} is {what}", why="no reader takes that format", instead="save it as .xlsx, .docx or PDF first"
        )
    return what


def textual(path: Path) -> bool:
    """Whether it is a file of text, and not of another kind that is only called otherwise."""
    try:
        encoding.detect(path)
    except Refused:
        return False
    return True


def markup(head: str) -> str | None:
    """html or xml, where a text begins like one."""
    head = head.removeprefix("\ufeff")
    return "html" if HTML.match(head) else "xml" if XML.match(head) else None


def _written(head: bytes) -> str | None:
    """An old office format in the first bytes of a text that begins like one."""
    if not head.lstrip().startswith((b"{\\rtf", b"<?xml", b"\xef\xbb\xbf<?xml")):
        return None
    return next((what for mark, what in WRITTEN.items() if mark in head), None)


def _zipped(path: Path) -> str | None:
    try:
        with ZipFile(path) as container:
            names = container.namelist()
            said = b""
            if "mimetype" in names:
                with container.open("mimetype") as stream:
                    said = stream.read(128)
    except BROKEN:
        return None  # whoever reads it says what is damaged
    kinds = [kind for start, kind in MIMETYPES.items() if said.startswith(start)]
    if "[Content_Types].xml" in names or "META-INF/container.xml" in names:
        kinds += [kind for start, kind in INSIDE if any(name.startswith(start) for name in names)]
    return kinds[0] if kinds else None
