"""The encoding that an HTML or XML document declares of itself, as browsers understand it; else a detected one."""

import codecs
import re
from pathlib import Path
from typing import NamedTuple

from affina.core.errors import Refused
from affina.data import encoding

HEAD = 4096
XML = re.compile(rb"""^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
META = re.compile(rb"""<meta\s[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)""", re.I)
WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
"""What is meant by a name that is used for more than it says (encoding.spec.whatwg.org, 4.2)."""
CALLED = {"x-sjis": "cp932", "windows-31j": "cp932", "x-gbk": "gb18030", "x-euc-jp": "euc_jp", "x-big5": "big5hkscs"}
CALLED |= {"iso-8859-8-i": "iso8859-8", "x-mac-cyrillic": "mac_cyrillic", "x-user-defined": "cp1252"}
"""Names that Python does not know."""


class Decoded(NamedTuple):
    """A document's text, the codec it was decoded with, and a sentence where that was a guess or not what it says."""

    text: str
    codec: str
    note: str = ""


def codec(head: bytes) -> str | None:
    """The codec that these first bytes declare; None where they declare none, or one that nobody knows."""
    found = XML.search(head) or META.search(head)
    if found is None:
        return None
    name = found[1].decode("ascii").lower()
    try:
        plain = codecs.lookup(CALLED.get(name, name)).name
        "".encode(plain)
    except LookupError:
        return None
    if plain.startswith(("utf-16", "utf-32")):
        return "utf-8"  # the declaration could be read, so the document is not
    return WIDER.get(plain, plain)


def read(path: Path, given: str | None, most: int) -> Decoded:
    """A document's whole text. Raises Refused as `encoding.detect` does, and for one of more than `most` bytes."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise Refused(f"{path} cannot be read", why=error.strerror or str(error)) from error
    if size > most:
        raise Refused(
            f"{path} has {size / 2**20:,.0f} MiB",
            why=f"a document of this kind is held in memory whole, and may have {most / 2**20:,.0f}",
            instead="divide it",
        )
    content = path.read_bytes()
    said = codec(content[:HEAD])
    marked = any(content.startswith(mark) for mark, _ in encoding.BOMS)
    if said and not given and not marked:
        for name in (said, "latin-1") if said == "cp1252" else (said,):
            try:
                return Decoded(content.decode(name), name)
            except UnicodeError:
                continue
    found = encoding.detect(path, given)
    note = f"{path} says it is {said}, which it is not, and was read as {found.name}" if said and not given else ""
    return Decoded(content.decode(found.name), found.name, "" if marked else note)
