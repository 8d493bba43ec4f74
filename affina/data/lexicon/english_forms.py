"""English nouns, adjectives and verbs: what a form can be, how a lemma is inflected; from the SPECIALIST lexicon."""

from __future__ import annotations

import gzip
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from affina.data.lexicon.words import listed

_SLOTS = {
    "noun": ("plural",),
    "verb": ("past", "participle", "gerund", "third"),
    "adj": ("more", "most"),
    "adv": ("more", "most"),
}
_KINDS = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}
_HOUR = ("hour", "honest", "honor", "honour", "heir")
_USE = ("uni", "use", "usa", "usu", "util", "eu", "ewe", "one", "once", "ubiq", "ura", "uti")
_UN = ("unin", "unim", "unid")  # un-intended, beside uni-form
FUNCTION_WORDS = listed(
    """
    a about above across after again against all almost along also although always am among an and another any
    anybody anyone anything are around as at away back be because been before behind being below beneath beside
    between beyond both but by can cannot could did do does doing done down during each either else enough even
    ever every everyone everything except few first for from front get gets go goes got had half has have having
    he her here hers herself him himself his how however i if in inside instead into is it its itself just last
    least less let like little lot lots many may me might mine more most much must my myself near neither never
    next no nobody none nor not nothing now of off often on once one ones only onto or other others our ours out
    outside over own past per quite rather same second several shall she should since so some somebody someone
    something sometimes somewhere soon still such than that the their theirs them themselves then there these
    they thing things this those though three through throughout thus till to today together tomorrow tonight
    too toward towards two under unless until up upon us use very was way we well were what whatever when where
    whether which while who whole whom whose why will with within without would yes yesterday yet you your yours
    kind sort bit part number amount day time year people man woman point place case fact order view end hand
    account
    """
)
"""Words that are never exchanged, and nouns that mostly stand in set phrases."""


class Reading(NamedTuple):
    """What a form can be: its kind, its dictionary form, and which of its forms (`base`, `plural`, `past` …)."""

    kind: str
    lemma: str
    slot: str


class Forms:
    """Every form of the table, and how to inflect a lemma."""

    def __init__(self, rows: list[list[str]]) -> None:
        self._forms: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._readings: dict[str, set[Reading]] = defaultdict(set)
        for lemma, kind, *columns in rows:
            if lemma.islower():
                self._add(lemma, kind, columns)

    @staticmethod
    def read(path: Path) -> Forms:
        """Of a gzipped table `lemma,kind,form,form …`; forms that can both be used are divided by a stroke."""
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return Forms([line.rstrip("\n").split(",") for line in lines])

    def _add(self, lemma: str, kind: str, columns: list[str]) -> None:
        said = [(lemma,), *(tuple(filter(None, column.split("/"))) for column in columns)]
        if kind == "verb" and len(said) > 2 and not said[2]:
            said[2] = said[1]  # a participle that is left out is the past form
        for slot, forms in zip(("base", *_SLOTS[kind]), said, strict=False):
            self._forms[_KINDS[kind], lemma, slot] = forms
            for form in forms:
                self._readings[form].add(Reading(_KINDS[kind], lemma, slot))

    def readings(self, form: str) -> set[Reading]:
        return self._readings.get(form, set())

    def inflected(self, kind: str, lemma: str, slot: str) -> str | None:
        """The form, or None where there is none or more than one."""
        forms = self._forms.get((kind, lemma, slot), ())
        return forms[0] if len(forms) == 1 else None

    def countable(self, lemma: str) -> bool:
        """Whether a noun has a plural of its own, so that *a* can stand before it."""
        forms = self._forms.get(("noun", lemma, "plural"), ())
        return bool(forms) and lemma not in forms


def article(word: str) -> str | None:
    """*a* or *an*, by how the word sounds; None for what is spelt out or not of letters."""
    lower = word.lower()
    if not lower.isascii() or not lower.isalpha() or (word.isupper() and len(word) > 1):
        return None
    if lower.startswith(_HOUR):
        return "an"
    if lower.startswith(_USE) and not lower.startswith(_UN):
        return "a"
    return "an" if lower[0] in "aeiou" else "a"
