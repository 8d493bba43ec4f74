"""An Italian noun with what stands before and after it and agrees with it: found, and said of another noun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from affina.data.lexicon.italian_articles import INNER, PRONOUNS, READINGS, Agreement, said, sound
from affina.data.lexicon.italian_forms import FUNCTION_WORDS, Forms
from affina.data.lexicon.words import Edit, Word, beside, cased, listed

_INSIDE = 2
"""Words between an article and its noun, at most."""
_JOINED = ("del", "al", "dal", "nel", "sul")
_LONGEST = 200
"""Words of a sentence that are looked through; in a longer one nothing changes its gender."""
_ENDS = frozenset(".!?;:")
_FREE_PRONOUNS = listed(
    """
    lo la l' li le esso essa essi esse egli ella lui lei quale quali quello quella quelli quelle questo questa
    questi queste uno una tutto tutta tutti tutte stesso stessa stessi stesse altro altra altri altre suo sua
    suoi sue
    """
)
"""Words that may agree with a noun elsewhere in the sentence."""


@dataclass(frozen=True)
class Phrase:
    """A determined noun. `inner`: places of what stands between the determiner and the noun; `after`: the place of an
    adjective that follows, -1 for none."""

    determiner: int
    inner: tuple[int, ...]
    noun: int
    after: int
    lemma: str
    agreement: Agreement

    @property
    def places(self) -> frozenset[int]:
        return frozenset({self.determiner, *self.inner, self.noun, self.after})


def around(text: str, held: Sequence[Word], at: int, forms: Forms) -> Phrase | None:
    """The phrase whose noun stands at `at`; None where it is not surely a noun of one lemma, gender and number."""
    readings = forms.readings(held[at].text)
    if {"adjective", "participle"} & {each.kind for each in readings} or _before_a_noun(text, held, at, forms):
        return None
    found = _determined(text, held, at, forms)
    if found is None:
        return None
    determiner, inner = found
    nouns = {(each.lemma, each.agreement) for each in readings if each.kind == "noun" and each.agreement}
    for place in (determiner, *inner):
        nouns = {(lemma, agreement) for lemma, agreement in nouns if agreement in _agreements(held[place].lower, forms)}
    homograph = any(each.kind == "verb" for each in readings)
    if len(nouns) != 1 or (homograph and not inner and held[determiner].lower in PRONOUNS):
        return None
    ((lemma, agreement),) = nouns
    return Phrase(determiner, inner, at, _following(text, held, at, (agreement, forms)), lemma, agreement)


def _determined(text: str, held: Sequence[Word], at: int, forms: Forms) -> tuple[int, tuple[int, ...]] | None:
    """The place of the determiner, and those of what stands between."""
    inner: list[int] = []
    for place in range(at - 1, -1, -1):
        if not held[place].is_word or not beside(text, held[place], held[place + 1]):
            return None
        word = held[place].lower
        families = {family for family, _ in READINGS.get(word, ())}
        if families - {*INNER}:
            return place, tuple(reversed(inner))
        if not (families or _attributive(word, forms)) or len(inner) == _INSIDE:
            return None
        inner.append(place)
    return None


def _attributive(word: str, forms: Forms) -> bool:
    return word not in FUNCTION_WORDS and any(each.kind == "adjective" for each in forms.readings(word))


def _agreements(word: str, forms: Forms) -> set[Agreement]:
    """How a determiner or an adjective can agree."""
    own = {agreement for _, agreement in READINGS.get(word, ())}
    return own or {each.agreement for each in forms.readings(word) if each.kind == "adjective" and each.agreement}


def _before_a_noun(text: str, held: Sequence[Word], at: int, forms: Forms) -> bool:
    """Whether a name or another noun follows at once: an apposition or a compound."""
    if at + 1 == len(held) or not held[at + 1].is_word or not beside(text, held[at], held[at + 1]):
        return False
    after = held[at + 1]
    kinds = {each.kind for each in forms.readings(after.lower)}
    return not after.text.islower() or (kinds == {"noun"} and after.lower not in FUNCTION_WORDS)


def _following(text: str, held: Sequence[Word], at: int, agreeing: tuple[Agreement, Forms]) -> int:
    """The place of an adjective right after the noun that agrees with it; -1 for none."""
    agreement, forms = agreeing
    if at + 1 == len(held) or not held[at + 1].is_word or not beside(text, held[at], held[at + 1]):
        return -1
    word = held[at + 1].lower
    agrees = any(each.kind == "adjective" and each.agreement == agreement for each in forms.readings(word))
    return at + 1 if agrees and word not in FUNCTION_WORDS else -1


def alone(held: Sequence[Word], phrase: Phrase, forms: Forms) -> bool:
    """Whether nothing else in the sentence could agree with the noun, so that another gender may take its place."""
    sentence = _sentence(held, phrase.noun)
    if len(sentence) >= _LONGEST:
        return False
    for place in sentence:
        if place in phrase.places or not held[place].is_word:
            continue
        word = held[place].lower
        agreeing = {each.kind for each in forms.readings(word) if each.agreement == phrase.agreement}
        if agreeing & {"adjective", "participle"} or (word in _FREE_PRONOUNS and not _article(held, place, forms)):
            return False
    return True


def _article(held: Sequence[Word], place: int, forms: Forms) -> bool:
    """Whether a word that may be a pronoun is surely an article: a noun follows that is nothing else."""
    if place + 1 == len(held):
        return False
    after = held[place + 1]
    return bool(READINGS.get(held[place].lower)) and {each.kind for each in forms.readings(after.lower)} == {"noun"}


def _sentence(held: Sequence[Word], at: int) -> range:
    """The places of the sentence around a place; at least `_LONGEST` of them where it goes on."""
    start, stop = max(0, at - _LONGEST), min(len(held), at + _LONGEST)
    first = next((place + 1 for place in range(at, start - 1, -1) if held[place].text in _ENDS), start)
    return range(first, next((place for place in range(at, stop) if held[place].text in _ENDS), stop))


def rewritten(
    text: str, held: Sequence[Word], phrase: Phrase, noun: tuple[str, Agreement], forms: Forms
) -> tuple[Edit, ...] | None:
    """The edits that say the phrase of another noun, given as its form and how it agrees; None where a word of the
    phrase has no sure form."""
    form, agreement = noun
    kept = sound(form) == sound(held[phrase.noun].text) and agreement == phrase.agreement
    edits = [Edit(held[phrase.noun].start, held[phrase.noun].stop, form)]
    following, next_place = form, phrase.noun
    for place in (*reversed(phrase.inner), phrase.determiner):
        word = held[place]
        new = word.text if kept else _said(word.lower, agreement, following, (phrase.agreement, forms))
        if new is None:
            return None
        if new.lower() != word.lower:
            edits += _joined_edits(text, word, held[next_place], cased(new, word.text))
        kept = kept or (agreement == phrase.agreement and sound(new) == sound(word.lower))
        following, next_place = new, place
    if phrase.after >= 0 and agreement != phrase.agreement:
        changed = _inflected(held[phrase.after].lower, (phrase.agreement, agreement), forms)
        if changed is None:
            return None
        edits.append(Edit(held[phrase.after].start, held[phrase.after].stop, changed))
    return tuple(sorted(edits)) if _may_follow(held, phrase, edits) else None


def _said(word: str, agreement: Agreement, following: str, known: tuple[Agreement, Forms]) -> str | None:
    """A determiner or an inner adjective as it agrees and sounds before the following word."""
    before, forms = known
    for family, each in READINGS.get(word, ()):
        if each == before:
            return said(family, agreement, following)
    return _inflected(word, (before, agreement), forms)


def _inflected(word: str, agreements: tuple[Agreement, Agreement], forms: Forms) -> str | None:
    before, after = agreements
    lemmas = {each.lemma for each in forms.readings(word) if each.kind == "adjective" and each.agreement == before}
    return forms.adjective(lemmas.pop(), after) if len(lemmas) == 1 else None


def _joined_edits(text: str, word: Word, following: Word, new: str) -> list[Edit]:
    """The word's edit, and the space after it where an elision comes or goes."""
    gap = text[word.stop : following.start]
    if new.endswith("'") and gap:
        return [Edit(word.start, following.start, new)]
    return [Edit(word.start, word.stop, new if gap or new.endswith("'") else f"{new} ")]


def _may_follow(held: Sequence[Word], phrase: Phrase, edits: Sequence[Edit]) -> bool:
    """Whether what precedes the phrase still sounds right: after *ed*, *ad* or an elision its first letter stays."""
    first = phrase.determiner
    before = held[first - 1].lower if first else ""
    changed = next((edit.text for edit in edits if edit.start == held[first].start), held[first].text)
    sounding = before in ("ad", "ed", "od") or before.endswith("'")
    return not sounding or changed[:1].lower() == held[first].text[:1].lower()


def joined(word: str) -> bool:
    """Whether a word is a preposition joined with an article."""
    return any(family in _JOINED for family, _ in READINGS.get(word, ()))
