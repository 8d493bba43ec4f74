"""Italian nouns, adjectives, verbs: what a form can be, and the form that agrees; from tables made of Morph-it!."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from affina.data.lexicon.italian_articles import FP, FS, MP, MS, Agreement
from affina.data.lexicon.words import listed

_KEYS = {"MS": MS, "FS": FS, "MP": MP, "FP": FP}
_PARTICIPLE = {"S": MS, "SF": FS, "P": MP, "PF": FP}
IRREGULAR = {
    "bello": ("bello", "bella", "belli", "belle"),
    "buono": ("buono", "buona", "buoni", "buone"),
    "grande": ("grande", "grande", "grandi", "grandi"),
    "santo": ("santo", "santa", "santi", "sante"),
}
"""Adjectives that the table leaves out, since they have more forms than four."""
FUNCTION_WORDS = listed(
    """
    a ad ai agli al all' alla alle allo anche ancora anzi appena bene ben c' che chi ci ciò ciascuno ciascuna
    co' coi col come con contro così cui d' da dagli dai dal dall' dalla dalle dallo davanti de' degli dei del
    dell' della delle dello dentro di dietro dopo dove dov' dunque e ed egli ella era erano essa esse essi esso
    fa fino fra fuori già giù gli i il in infatti insieme intanto invece io l' la le lei li lo loro lui lungo m'
    ma mai male me meglio mentre mezzo mi meno molto molta molti molte n' ne ne' né negli nei nel nell' nella
    nelle nello no noi non nulla o od oggi ogni oltre ora orsù pe' per perché però più po' poco poca pochi poche
    poi pure qual quale quali qualche quando quanto quanta quanti quante quasi quel quella quelle quelli quello
    qui qua quindi s' sarà se sé sebbene secondo sei sempre senza si sì sia sono sopra sotto sta stato stata
    stati state su sugli sui sul sull' sulla sulle sullo t' tale tali tanto tanta tanti tante te ti tra troppo
    troppa troppi troppe tu tutto tutta tutti tutte un un' una uno v' va verso vi via voi è abbia abbiamo
    abbiano ha hai hanno ho aveva avevano avere avendo avuto essere essendo fu furono fosse fossero fui sarebbe
    sarebbero saranno vicino lontano proprio propria propri proprie presto tardi tosto subito forse solo sola
    soli sole soltanto alquanto parecchio parecchi parecchie certo certa certi certe vari varie diversi diverse
    entrambi ambedue due tre quattro cinque sei sette otto nove dieci venti trenta cento mille
    """
)
"""Words that are never exchanged, whatever else they may be."""


class Reading(NamedTuple):
    """What a form can be: its kind, its dictionary form, and how it agrees (None: it does not)."""

    kind: str
    lemma: str
    agreement: Agreement | None


class Forms:
    """Every form of the tables, and how to inflect a lemma."""

    def __init__(self, nouns: Mapping[str, Any], adjectives: Mapping[str, Any], verbs: Mapping[str, Any]) -> None:
        self._nouns = {lemma: _noun(lemma, each) for lemma, each in nouns.items()}
        self._adjectives = {lemma: {MS: lemma} | _agreeing(each) for lemma, each in adjectives.items()}
        self._adjectives |= {lemma: dict(zip((MS, FS, MP, FP), each, strict=True)) for lemma, each in IRREGULAR.items()}
        self._readings: dict[str, set[Reading]] = defaultdict(set)
        for lemma, forms in self._nouns.items():
            for agreement, form in forms.items():
                self._readings[form].add(Reading("noun", lemma, agreement))
        for lemma, forms in self._adjectives.items():
            for agreement, form in forms.items():
                self._readings[form].add(Reading("adjective", lemma, agreement))
        for lemma, table in verbs.items():
            for reading, form in _verb(lemma, table):
                self._readings[form].add(reading)

    @staticmethod
    def read(nouns: Path, adjectives: Path, verbs: Path) -> Forms:
        return Forms(*(json.loads(path.read_text(encoding="utf-8")) for path in (nouns, adjectives, verbs)))

    def readings(self, form: str) -> set[Reading]:
        """What a form in small letters can be; empty where it is in no table."""
        return self._readings.get(form, set())

    def noun(self, lemma: str, number: str) -> tuple[str, str] | None:
        """The noun's form of a number, and its gender; None where the tables do not have it."""
        found = [(form, each.gender) for each, form in self._nouns.get(lemma, {}).items() if each.number == number]
        return found[0] if found else None

    def adjective(self, lemma: str, agreement: Agreement) -> str | None:
        return self._adjectives.get(lemma, {}).get(agreement)

    def genders(self, lemma: str) -> frozenset[str]:
        """The genders of a noun, over its numbers (*uovo*, *uova* has two)."""
        return frozenset(each.gender for each in self._nouns.get(lemma, {}))


def _noun(lemma: str, each: Mapping[str, str | None]) -> dict[Agreement, str]:
    """Singular and plural, as far as it has them. A plural in -a of a masculine in -o is feminine: *il braccio*, *le
    braccia*."""
    gender, plural = str(each["G"]).lower(), each["P"]
    forms = {} if "S" in each and not each["S"] else {Agreement(gender, "s"): lemma}
    if plural and "." not in plural:
        crossed = gender == "m" and lemma.endswith("o") and plural.endswith("a")
        forms[Agreement("f" if crossed else gender, "p")] = plural
    return forms


def _agreeing(each: Mapping[str, str]) -> dict[Agreement, str]:
    return {_KEYS[key]: form for key, form in each.items()}


def _verb(lemma: str, table: Mapping[str, Any]) -> Iterator[tuple[Reading, str]]:
    """Every form of a verb; participles agree."""
    yield Reading("verb", lemma, None), lemma
    for mood, tenses in table.items():
        for tense, forms in tenses.items():
            if not isinstance(forms, Mapping):
                yield Reading("verb", lemma, None), str(forms)
                continue
            for key, form in forms.items():
                agreement = _PARTICIPLE.get(key) if mood == "part" else None
                yield Reading("participle" if agreement and tense == "past" else "verb", lemma, agreement), form
