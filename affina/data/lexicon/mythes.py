"""A thesaurus as MyThes reads it (LibreOffice; Debian's mythes-* packages): which words are listed together.

The first line names the encoding; `word|n` is followed by n lines `(kind)|synonym|synonym …`.
"""

from __future__ import annotations

import codecs
from collections import defaultdict
from pathlib import Path

from affina.core.errors import Refused


class Thesaurus:
    """Pairs of words, whichever of them lists the other."""

    def __init__(self, listed: dict[str, set[str]]) -> None:
        self._listed = listed

    @staticmethod
    def read(path: Path) -> Thesaurus:
        """Raises Refused for a file that is absent or is none of these."""
        try:
            first, _, rest = path.read_bytes().partition(b"\n")
            text = rest.decode(codecs.lookup(first.decode("ascii").strip()).name)
        except OSError as error:
            remedy = "install mythes-it or mythes-en-us and give its .dat file, or leave `thesaurus` out"
            raise Refused(f"no thesaurus at {path}", error.strerror or str(error), remedy) from error
        except (UnicodeDecodeError, LookupError, ValueError) as error:
            raise _not_one(path, "its first line does not name the encoding it is in") from error
        listed: dict[str, set[str]] = defaultdict(set)
        left, word = 0, ""
        for line in filter(None, text.splitlines()):
            if left:
                listed[word] |= {each.partition(" (")[0] for each in line.split("|")[1:]}
                left -= 1
                continue
            word, _, count = line.partition("|")
            if not count.strip().isdigit():
                raise _not_one(path, f"a line is no `word|count`: {line[:60]!r}")
            left = int(count)
        return Thesaurus(listed)

    def has(self, word: str, other: str) -> bool:
        return other in self._listed.get(word, ()) or word in self._listed.get(other, ())


def _not_one(path: Path, why: str) -> Refused:
    return Refused(f"{path} is no thesaurus", why, "give a MyThes .dat file")
