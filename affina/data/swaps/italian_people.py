"""Who is spoken of in an Italian text: nouns of people, pronouns and first names, with gender and number."""

from typing import NamedTuple

from affina.data.swaps.first_names import EITHER_ITALIAN
from affina.data.swaps.first_names import MEN_ITALIAN as MEN
from affina.data.swaps.first_names import NAMES_ITALIAN as NAMES
from affina.data.swaps.italian_verbs import ENDS, PLACES
from affina.data.swaps.italian_words import (
    DETERMINED,
    ENDINGS,
    EPICENE,
    FORMS,
    INVARIANT,
    OF_FIRST_NAMES,
    PRONOUNS,
    agreeing,
    determiners,
)
from affina.data.swaps.tokens import tokens


class Unknown(Exception):
    """It cannot be told what agrees with whom."""


class Person(NamedTuple):
    """A word that names a person, by its place; `m` or `f`, one or many (`s`, `p`), the word of the other gender."""

    at: int
    gender: str
    number: str
    other: str


class People:
    """A text and the people in it. `names`: first names are people."""

    def __init__(self, text: str, names: bool) -> None:
        self.text, self.names = text, names
        self.held = tokens(text, elided=True)

    def people(self) -> list[Person]:
        """In order. Raises Unknown for one whose gender cannot be told."""
        return [Person(at, *told) for at in range(len(self.held)) if (told := self._person(at))]

    def _person(self, at: int) -> tuple[str, str, str] | None:
        """Gender, number and the word of the other gender where a person is named."""
        token = self.held[at]
        word = token.plain
        if word in PRONOUNS:
            if token.text[0].isupper() and not self.begins(at):
                raise Unknown  # Lei: a polite you
            return PRONOUNS[word][0], "s", PRONOUNS[word][1]
        if self.names and token.text[:1].isupper() and (word.capitalize() in NAMES or token.text in EITHER_ITALIAN):
            return self._named(at)
        if word in EPICENE:
            return self._by_determiner(at, word)
        if word in DETERMINED and not self._told(at):
            return None
        forms = FORMS.get(word, ())
        if len({(each.gender, each.number) for each in forms}) > 1:
            told = self._told(at)
            forms = tuple(each for each in forms if (each.gender, each.number) in told)
            if len({(each.gender, each.number) for each in forms}) != 1:
                raise Unknown
        if not forms:
            return None
        other = forms[0].other
        if not other:
            raise Unknown
        after = self.held[at + 1] if self.beside(at) else None
        if word in OF_FIRST_NAMES and after and after.text[0].isupper() and not (self.names and after.text in NAMES):
            raise Unknown
        return forms[0].gender, forms[0].number, self._title(at, other)

    def _named(self, at: int) -> tuple[str, str, str] | None:
        token = self.held[at]
        before = self.held[at - 1] if at else None
        if before is not None and (before.plain in PLACES or (before.text[:1].isupper() and not self.begins(at - 1))):
            return None  # Santa Maria, Via Marco …, a surname
        if token.text in EITHER_ITALIAN and token.text not in NAMES:
            if self.begins(at):
                return None
            raise Unknown
        other = NAMES[token.plain.capitalize()]
        gender = "m" if token.plain.capitalize() in MEN else "f"
        return gender, "s", other

    def _by_determiner(self, at: int, word: str) -> tuple[str, str, str] | None:
        told = self._told(at)
        if len(told) != 1:
            return None
        ((gender, number),) = told
        return gender, number, word

    def _told(self, at: int) -> set[tuple[str, str]]:
        """What gender and number the word before, through adjectives, says."""
        place = at - 1
        while place >= 0 and self.beside(place):
            word = self.held[place].plain
            said = {(gender, number) for _, gender, number in determiners(word)}
            if said:
                return said
            if word not in INVARIANT and not any(agreeing(word, *key) for key in ENDINGS):
                return set()
            place -= 1
        return set()

    def _title(self, at: int, other: str) -> str:
        """`signore`, `dottore` and `professore` lose their end before a name."""
        after = self.held[at + 1] if at + 1 < len(self.held) and self.beside(at) else None
        if other in ("signore", "dottore", "professore") and after is not None and after.text[:1].isupper():
            return other[:-1]
        return other

    def beside(self, at: int) -> bool:
        """Whether nothing but white space is between a word and the next, and both are words."""
        if not 0 <= at < len(self.held) - 1:
            return False
        one, two = self.held[at], self.held[at + 1]
        return one.is_word and two.is_word and not self.text[one.stop : two.start].strip(" ")

    def begins(self, at: int) -> bool:
        return (
            at == 0 or self.held[at - 1].text in ENDS or "\n" in self.text[self.held[at - 1].stop : self.held[at].start]
        )
