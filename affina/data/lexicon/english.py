"""Where an English text can be said with a synonym, inflection and *a*/*an* kept.

A noun is exchanged where a determiner shows that it is one and where its phrase ends; an adjective before such a noun;
an adverb in -ly; a verb, where asked for, before its object. Where a form can be something else the word is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from affina.data.lexicon.english_forms import FUNCTION_WORDS, Forms, Reading, article
from affina.data.lexicon.synonyms import Synonyms
from affina.data.lexicon.words import Choice, Edit, Slot, Word, beside, cased, listed, words

_SINGULAR = listed(
    """
    a an this every each another
    """
)
_PLURAL = listed(
    """
    these those
    """
)
_EITHER = listed(
    """
    the my your his her its our their some any no
    """
)
DETERMINERS = _SINGULAR | _PLURAL | _EITHER
_COUNTING = listed(
    """
    a an every each another
    """
)
_PRONOUNS = frozenset({"her", "this", "these", "those"})
"""Determiners after which a verb may stand."""
_INSIDE = 2


@dataclass(frozen=True)
class English:
    """The lexicon of one language, as the transform asks it."""

    forms: Forms
    synonyms: Synonyms
    kinds: Collection[str] = ("noun", "adjective", "adverb")

    def slots(self, text: str) -> list[Slot]:
        """Every place that can be said otherwise, in order."""
        held = words(text)
        found = []
        for at, word in enumerate(held):
            plain = word.text.islower() and word.text.isalpha() and len(word.text) > 2
            if plain and word.text not in FUNCTION_WORDS and not _hyphenated(text, word):
                choices = tuple(self._choices(text, held, at))
                if choices:
                    found.append(Slot(choices))
        return found

    def _choices(self, text: str, held: list[Word], at: int) -> Iterator[Choice]:
        if "noun" in self.kinds:
            yield from self._nouns(text, held, at)
        if "adjective" in self.kinds:
            yield from self._adjectives(text, held, at)
        if "adverb" in self.kinds and held[at].text.endswith("ly"):
            yield from self._plainly(text, held, at, "adverb")
        if "verb" in self.kinds:
            yield from self._verbs(text, held, at)

    def _nouns(self, text: str, held: list[Word], at: int) -> Iterator[Choice]:
        determiner = self._determiner(text, held, at)
        if determiner is None or self._goes_on(text, held, at):
            return
        before = held[determiner].lower
        found = self._only(held[at].text, "noun")
        homograph = any(each.kind == "verb" for each in self.forms.readings(held[at].text))
        if found is None or (homograph and determiner == at - 1 and before in _PRONOUNS):
            return
        if (found.slot == "plural" and before in _SINGULAR) or (found.slot == "base" and before in _PLURAL):
            return
        for other, sure in self.synonyms.of(found.lemma, "noun"):
            counted = self.forms.countable(other) or (found.slot == "base" and before not in _COUNTING)
            if counted and (edits := self._edits(text, held, at, (other, found))):
                yield Choice(edits, sure)

    def _adjectives(self, text: str, held: list[Word], at: int) -> Iterator[Choice]:
        """An adjective between a determiner and a noun."""
        if self._determiner(text, held, at) is None or at + 1 == len(held) or not beside(text, held[at], held[at + 1]):
            return
        kinds = {each.kind for each in self.forms.readings(held[at].text)}
        if kinds == {"adjective"} and any(each.kind == "noun" for each in self.forms.readings(held[at + 1].text)):
            yield from self._plainly(text, held, at, "adjective")

    def _plainly(self, text: str, held: list[Word], at: int, kind: str) -> Iterator[Choice]:
        found = self._only(held[at].text, kind)
        if found is None or found.slot != "base":
            return
        for other, sure in self.synonyms.of(found.lemma, kind):
            if kind == "adverb" and not other.endswith("ly"):
                continue
            if edits := self._edits(text, held, at, (other, found)):
                yield Choice(edits, sure)

    def _verbs(self, text: str, held: list[Word], at: int) -> Iterator[Choice]:
        """A verb that is nothing else, before its object: the synonym stands in the same form."""
        follows = at + 1 < len(held) and held[at + 1].lower in DETERMINERS and beside(text, held[at], held[at + 1])
        readings = self.forms.readings(held[at].text)
        lemmas = {each.lemma for each in readings}
        if not follows or {each.kind for each in readings} != {"verb"} or len(lemmas) != 1:
            return
        for other, sure in self.synonyms.of(lemmas.pop(), "verb"):
            said = {self.forms.inflected("verb", other, each.slot) for each in readings}
            form = said.pop()
            if form is not None and not said and self.synonyms.usual(form):
                yield Choice((Edit(held[at].start, held[at].stop, form),), sure)

    def _edits(self, text: str, held: list[Word], at: int, given: tuple[str, Reading]) -> tuple[Edit, ...] | None:
        """The word, and the *a* or *an* before it; None where a form is not sure."""
        other, found = given
        form = self.forms.inflected(found.kind, other, found.slot) if found.slot != "base" else other
        if form is None or not self.synonyms.usual(form):
            return None
        edits = (Edit(held[at].start, held[at].stop, form),)
        before = held[at - 1] if at and beside(text, held[at - 1], held[at]) else None
        if before is None or before.lower not in ("a", "an"):
            return edits
        new = article(form)
        return None if new is None else (Edit(before.start, before.stop, cased(new, before.text)), *edits)

    def _determiner(self, text: str, held: list[Word], at: int) -> int | None:
        """The place of the determiner, with nothing but adjectives between."""
        for place in range(at - 1, max(-1, at - 2 - _INSIDE), -1):
            if not beside(text, held[place], held[place + 1]):
                return None
            if held[place].lower in DETERMINERS:
                return place
            if not any(each.kind == "adjective" for each in self.forms.readings(held[place].text)):
                return None
        return None

    def _goes_on(self, text: str, held: list[Word], at: int) -> bool:
        """Whether the next word may belong to the same phrase, so that this one is not its head."""
        if at + 1 == len(held) or not beside(text, held[at], held[at + 1]) or not held[at + 1].is_word:
            return False
        return held[at + 1].lower not in FUNCTION_WORDS

    def _only(self, form: str, kind: str) -> Reading | None:
        """The one reading of this kind, None where there is none or several; what is its own plural is singular."""
        found = sorted(each for each in self.forms.readings(form) if each.kind == kind)
        singular = len({each.lemma for each in found}) == 1 and found[0].slot == "base"
        return found[0] if singular or len(found) == 1 else None


def _hyphenated(text: str, word: Word) -> bool:
    return text[max(0, word.start - 1) : word.start] in ("-", "'", "’", "/") or text[word.stop : word.stop + 1] in (
        "-",
        "/",
    )
