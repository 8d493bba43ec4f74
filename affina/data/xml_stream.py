"""XML piece by piece through expat, in bounded memory; what could make a small file large, or reach others, is refused.

A DOCTYPE may stand there, and nothing it names is fetched; an entity that the file itself declares is refused.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from xml.parsers import expat

from affina.core.errors import Refused
from affina.data import declared, encoding

CHUNK = 1 << 16
ENDED = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]
DEEPEST = 500
"""Elements open at once."""
SURROGATES = {0xDC00 + byte: byte for byte in range(128, 256)}


class Listener(Protocol):
    """Who hears of each element: its name and attributes, the line it begins on; its text; its end."""

    def start(self, name: str, attributes: dict[str, str], line: int) -> None: ...

    def text(self, text: str) -> None: ...

    def end(self) -> None: ...


def codec(path: Path, given: str | None) -> str | None:
    """The codec of the file, None for UTF-8, and UTF-16 with a mark, that nothing declares: expat decodes
    them itself. Raises Refused for a missing, empty or binary file."""
    found = encoding.detect(path)
    if given:
        return given
    if found.name in ("utf-8-sig", "utf-16-le", "utf-16-be", "utf-32"):
        return found.name
    with path.open("rb") as file:
        head = file.read(declared.HEAD)
    name = None if found.name == "utf-16" else declared.codec(head)
    if name is None and (said := declared.XML.search(head)):
        raise Refused(
            f"{path} declares the encoding '{said[1].decode()}'",
            why="nobody knows it",
            instead="name its real encoding under `data.reader`",
        )
    return name


def parse(path: Path, name: str | None, listener: Listener) -> Iterator[None]:
    """Tells the listener of the file's elements, and comes up after each piece.

    Raises Refused, located, for what is not well-formed, declares entities, or is nested too deeply.
    """
    parser = _parser(path, listener)
    try:
        for piece in _pieces(path, name):
            parser.Parse(piece, False)
            yield
        parser.Parse(b"" if name is None else "", True)
        yield
    except expat.ExpatError as error:
        ended = "the file ends before every element is closed" if error.code == ENDED else ""
        raise Refused(
            "not well-formed XML",
            why=ended or expat.ErrorString(error.code),
            instead="mend it there, or export it again",
            where=f"{path}:{error.lineno}:{error.offset + 1}",
        ) from error


def _parser(path: Path, listener: Listener) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    open_now = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal open_now
        open_now += 1
        if open_now > DEEPEST:
            where = f"{path}:{parser.CurrentLineNumber}"
            raise Refused("the XML cannot be read", why=f"its elements are nested over {DEEPEST} deep", where=where)
        listener.start(name, attributes, parser.CurrentLineNumber)

    def end(name: str) -> None:
        nonlocal open_now
        open_now -= 1
        listener.end()

    def entity(*declaration: object) -> None:
        raise Refused(
            f"the XML declares the entity '{declaration[0]}'",
            why="entities can make a small file large and read other files, so none is expanded",
            instead="write out what it stands for, for example with `xmllint --noent`",
            where=f"{path}:{parser.CurrentLineNumber}",
        )

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = listener.text
    parser.EntityDeclHandler = parser.UnparsedEntityDeclHandler = entity
    return parser


def _pieces(path: Path, name: str | None) -> Iterator[bytes | str]:
    if name is not None:
        yield from decoded(path, name)
        return
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def decoded(path: Path, name: str) -> Iterator[str]:
    """The file's text, piece by piece. Raises Refused where it does not decode. Bytes that Windows-1252 leaves open are
    the control characters that browsers take them for."""
    mild = name == "cp1252"
    decoder = codecs.getincrementaldecoder(name)("surrogateescape" if mild else "strict")
    done = 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeError as error:
                raise Refused(
                    f"{path} says it is {name}",
                    why=f"it cannot be decoded near byte {done + getattr(error, 'start', 0)}",
                    instead="name its real encoding under `data.reader`",
                ) from error
            yield text.translate(SURROGATES) if mild else text
            if not chunk:
                return
            done += len(chunk)
