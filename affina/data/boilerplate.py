"""What is printed around a text and is not the text: Project Gutenberg's licence, lines that many documents repeat."""

import re
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

START = re.compile(
    r"^[ \t]*\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)[^*]*\*{3}[ \t]*$", re.M | re.I
)
END = re.compile(
    r"^[ \t]*(?:End of (?:the |this )?Project Gutenberg(?:'s)? E?(?:Book|text)?[^\n]*\n\s*)?"
    r"\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)",
    re.M | re.I,
)
CLOSING = re.compile(r"^[ \t]*End of (?:the |this )?Project Gutenberg\b[^\n]*(?:\n[^\n]+)*\s*\Z", re.M | re.I)
CREDITS = re.compile(
    r"\A\s*(?:E-text prepared|Produced|Transcribed)\s+by\b(?:[^\n]*\n)(?:[^\n]+(?:\n|\Z))*(?=\s|\Z)", re.I
)
PROOFREAD = re.compile(r"proofread|pgdp|gutenberg|archive", re.I)
LINE = 200
"""Characters up to which a line can be one that documents repeat."""
HELD = 200_000
"""Lines counted at once; every line is found that makes up more than one of so many."""


class Marks(NamedTuple):
    """What stands between them is the book: the place of an example, and the character where a mark ends or begins."""

    start: tuple[int, int]
    end: tuple[int, int]


def marks(text: str) -> tuple[int | None, int | None]:
    """Where Project Gutenberg's opening mark ends and its closing one begins, if they are there."""
    if "PROJECT GUTENBERG" not in text.upper():
        return None, None
    start, end = START.search(text), END.search(text)
    return start and start.end(), end and end.start()


def without_credits(text: str) -> str:
    """A book without the paragraph that names who typed it, where it begins with one, and without its closing line."""
    found = CREDITS.match(text)
    text = text[found.end() :] if found and PROOFREAD.search(found[0]) else text
    return CLOSING.sub("", text).strip("\n")


class Repeated:
    """Lines that stand in many documents, found in two passes and bounded memory (Misra & Gries 1982, then a count)."""

    def __init__(self, documents: Iterable[str], share: float, least: int) -> None:
        """`documents` are gone through twice. A line is repeated in more than `share` of them, and `least` or more."""
        candidates: dict[bytes, int] = {}
        count = 0
        for text in documents:
            count += 1
            for key in lines(text):
                if key in candidates or len(candidates) < HELD:
                    candidates[key] = candidates.get(key, 0) + 1
                else:
                    candidates = {each: times - 1 for each, times in candidates.items() if times > 1}
        exact = Counter(key for text in documents for key in lines(text) if key in candidates)
        self.lines = frozenset(key for key, times in exact.items() if times >= least and times > share * count)

    def without(self, text: str) -> tuple[str, int]:
        """The text without such lines, and how many went."""
        held = text.split("\n")
        kept = [line for line in held if _key(line) not in self.lines]
        return "\n".join(kept), len(held) - len(kept)


def lines(text: str) -> set[bytes]:
    """The lines of a document that could be repeated ones: short, with a letter in them."""
    if "\n" not in text.strip("\n"):
        return set()
    return {key for line in text.split("\n") if (key := _key(line))}


def _key(line: str) -> bytes:
    plain = " ".join(line.split())
    if len(plain) > LINE or not any(each.isalpha() for each in plain):
        return b""
    return blake2b(plain.casefold().encode("utf-8", "surrogatepass"), digest_size=8).digest()
