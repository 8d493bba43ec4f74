"""A text as words and signs with their places, and words in the letter case of others."""

import re
from collections.abc import Mapping
from typing import NamedTuple

WORD = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
ELIDED = re.compile(rf"[^\W\d_]+['’]|{WORD.pattern}")


class Token(NamedTuple):
    """A word, a number, or a sign: the characters [start, stop) of its text."""

    text: str
    start: int
    stop: int

    @property
    def plain(self) -> str:
        """In small letters, the apostrophe straight."""
        return self.text.casefold().replace("’", "'")

    @property
    def is_word(self) -> bool:
        return self.text[0].isalpha()


def tokens(text: str, elided: bool = False) -> list[Token]:
    """The words and signs of a text, in order. `elided`: an apostrophe belongs to the word before it, as in Italian."""
    found = (ELIDED if elided else WORD).finditer(text)
    return [Token(each[0], each.start(), each.end()) for each in found]


def cased(new: str, old: str) -> str:
    """A word in small letters, written as another is: Like, LIKE or like."""
    if sum(map(str.isalpha, old)) > 1 and old.isupper():
        return new.upper()
    return new[0].upper() + new[1:] if old[:1].isupper() else new


def both_ways(pairs: str) -> Mapping[str, str]:
    """From `he/she king/queen …` each word's other; a word that stands in several pairs has the first of them."""
    found: dict[str, str] = {}
    for pair in pairs.split():
        one, two = pair.replace("_", " ").split("/")
        found.setdefault(one, two)
        found.setdefault(two, one)
    return found


def listed(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())
