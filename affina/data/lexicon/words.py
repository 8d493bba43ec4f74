"""A text as words and signs with their places, and changes of it that keep to places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_WORD = re.compile(r"[^\W\d_]+['’]?|\d+|\S")


class Word(NamedTuple):
    """A run of letters with the apostrophe that ends it, a number, or one sign; [start, stop) in the text."""

    text: str
    start: int
    stop: int

    @property
    def lower(self) -> str:
        """In small letters, with a straight apostrophe."""
        return self.text.lower().replace("’", "'")

    @property
    def is_word(self) -> bool:
        return self.text[0].isalpha()


class Edit(NamedTuple):
    """What stands at [start, stop) of a text becomes `text`."""

    start: int
    stop: int
    text: str


class Choice(NamedTuple):
    """One way to say a place of a text otherwise: the edits go together. `weight` is how likely it is chosen."""

    edits: tuple[Edit, ...]
    weight: float


class Slot(NamedTuple):
    """A place of a text that can be said otherwise."""

    choices: tuple[Choice, ...]


def listed(text: str) -> frozenset[str]:
    """Words divided by white space, as a set."""
    return frozenset(text.split())


def words(text: str) -> list[Word]:
    return [Word(match.group(), match.start(), match.end()) for match in _WORD.finditer(text)]


def beside(text: str, first: Word, second: Word) -> bool:
    """Whether nothing but spaces stands between two words."""
    return not text[first.stop : second.start].strip(" ")


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; they do not overlap."""
    parts, at = [], 0
    for edit in sorted(edits):
        parts += [text[at : edit.start], edit.text]
        at = edit.stop
    return "".join([*parts, text[at:]])


def overlap(edits: Iterable[Edit], spans: Sequence[tuple[int, int]]) -> bool:
    """Whether an edit touches one of the spans [start, stop)."""
    return any(edit.start < stop and start < max(edit.stop, edit.start + 1) for edit in edits for start, stop in spans)


def cased(text: str, model: str) -> str:
    """A word written as another is: with a capital, in capitals, or as it is."""
    letters = model.rstrip("'’")
    if letters.isupper() and len(letters) > 1:
        return text.upper()
    return text[:1].upper() + text[1:] if model[:1].isupper() else text
