"""Which of two languages a text is in, by its commonest words; and their lexica, read from where packages lie."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from affina.core.kinds import Desk
from affina.data.lexicon import english_forms, italian_forms, packages, synsets
from affina.data.lexicon.english import English
from affina.data.lexicon.frequencies import zipf
from affina.data.lexicon.italian import NEVER, Italian
from affina.data.lexicon.mythes import Thesaurus
from affina.data.lexicon.synonyms import Synonyms
from affina.data.lexicon.words import Slot, listed, words

Language = Literal["it", "en"]
_COMMON = {
    "it": listed(
        """
    il lo la i gli le un una di del della dei delle che è per con non si mi ho sono come nel nella alla al da
    dal questo questa ma anche più se ha cosa posso e
    """
    ),
    "en": listed(
        """
    the a an of to and in is are was for on with that this it my your i you have has not can do does be at from
    what how why when will there
    """
    ),
}
_MARGIN = 1.5
_SURE: dict[Language, float] = {"it": 0.9, "en": 0.35}
"""Princeton's senses stand in order of use, MultiWordNet's in none: there a thesaurus agrees, or there is no doubt."""


class Lexicon(Protocol):
    """Finds where a text can be said with a synonym."""

    def slots(self, text: str) -> list[Slot]: ...


class Wanted(NamedTuple):
    """What is asked of a lexicon."""

    kinds: Collection[str]
    sure: float | None = None
    thesaurus: Path | None = None
    """A file in place of the language's own."""


def language_of(text: str) -> Language | None:
    """Italian or English, by which one's commonest words it has; None where neither is clearly ahead."""
    held = [word.lower for word in words(text)]
    italian, english = (sum(word in _COMMON[each] for word in held) for each in ("it", "en"))
    if italian > _MARGIN * english:
        return "it"
    return "en" if english > _MARGIN * italian else None


def lexicon(language: Language, wanted: Wanted, desk: Desk) -> Lexicon:
    """Raises Refused or Failed where a package is not to be had or a thesaurus is absent."""
    return _italian(wanted, desk) if language == "it" else _english(wanted, desk)


def _italian(wanted: Wanted, desk: Desk) -> Italian:
    senses, lists = desk.fetch(packages.ITALIAN_SYNSETS), desk.fetch(packages.FREQUENCIES)
    found = synsets.italian(
        senses / "italian_lemma.sql", senses / "english_index.sql", zipf(lists / "small_en.msgpack.gz")
    )
    forms = italian_forms.Forms.read(
        desk.fetch(packages.ITALIAN_NOUNS) / "words.json",
        desk.fetch(packages.ITALIAN_ADJECTIVES) / "adjectives.json",
        desk.fetch(packages.ITALIAN_VERBS) / "verbs.json",
    )
    path = wanted.thesaurus or desk.fetch(packages.ITALIAN_THESAURUS) / "th_it_IT_v2.dat"
    sure = _SURE["it"] if wanted.sure is None else wanted.sure
    common = zipf(lists / "small_it.msgpack.gz")
    chosen = Synonyms(synsets.Synsets(found), common, NEVER, sure, thesaurus=Thesaurus.read(path))
    return Italian(forms, chosen, wanted.kinds)


def _english(wanted: Wanted, desk: Desk) -> English:
    found = synsets.english(desk.fetch(packages.ENGLISH_SYNSETS))
    common = zipf(desk.fetch(packages.FREQUENCIES) / "small_en.msgpack.gz")
    forms = english_forms.Forms.read(desk.fetch(packages.ENGLISH_FORMS) / "infl_lu.csv.gz")
    thesaurus = Thesaurus.read(wanted.thesaurus) if wanted.thesaurus else None
    sure = _SURE["en"] if wanted.sure is None else wanted.sure
    chosen = Synonyms(synsets.Synsets(found), common, english_forms.FUNCTION_WORDS, sure, thesaurus=thesaurus)
    return English(forms, chosen, wanted.kinds)
