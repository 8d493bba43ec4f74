"""Synonyms by sense, from WordNets: how likely two words are meant alike, seen from either of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

_LEMMA = re.compile(r'VALUES \("([nvasr]#\w+)","[nvasr]","(.*)","([YN])"\);')
_INDEX = re.compile(r'VALUES \("(.*?)",(.*)\);')
_SENSE = re.compile(r"[nvasr]#\w+")
KINDS = {"noun": "n", "verb": "v", "adjective": "as", "adverb": "r"}
_FILES = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_RARE = 2.0  # Zipf: what a word counts for that is not among the commonest

Senses = Mapping[str, Mapping[str, float]]
"""word → its senses and what each weighs among them."""


class Synsets:
    """The words of one language and the senses they share."""

    def __init__(self, senses: Senses) -> None:
        self._senses = senses
        self._members: dict[str, list[str]] = defaultdict(list)
        for word, held in senses.items():
            for sense in held:
                self._members[sense].append(word)

    def synonyms(self, word: str, kind: str) -> dict[str, float]:
        """Words that can stand for `word` as a noun, verb, adjective or adverb, and how surely: the geometric mean of
        the chance that the one is meant in a sense of the other's, and the reverse."""
        here = self._chances(word, kind)
        shared: dict[str, float] = defaultdict(float)
        for sense, chance in here.items():
            for other in self._members[sense]:
                if other != word:
                    shared[other] += chance
        return {other: (chance * self._within(other, kind, here)) ** 0.5 for other, chance in shared.items()}

    def _within(self, word: str, kind: str, senses: Mapping[str, float]) -> float:
        """The chance that a word is meant in one of these senses."""
        return sum(chance for sense, chance in self._chances(word, kind).items() if sense in senses)

    def _chances(self, word: str, kind: str) -> dict[str, float]:
        held = {sense: weight for sense, weight in self._senses.get(word, {}).items() if sense[0] in KINDS[kind]}
        total = sum(held.values())
        return {sense: weight / total for sense, weight in held.items()}


def italian(lemmas: Path, english: Path, common: Mapping[str, float]) -> Senses:
    """MultiWordNet's Italian words. A sense weighs what its English words weigh: each one's frequency (`common`, on
    Zipf's scale) shared among its senses. That tells the reading *book* of *libro* from the reading *omasum*."""
    weights: dict[str, float] = defaultdict(float)
    for match in _matches(english, _INDEX):
        senses = _SENSE.findall(match[2])
        for sense in senses:
            weights[sense] += 10 ** common.get(match[1], _RARE) / len(senses)
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for match in _matches(lemmas, _LEMMA):
        if match[3] == "N" and _plain(match[2]):
            found[match[2]][match[1]] = weights.get(match[1], 10.0**_RARE)
    return found


def english(folder: Path) -> Senses:
    """WordNet's own index files: the senses of a word stand commonest first, and each weighs half the one before."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for name, kind in _FILES.items():
        with (folder / f"index.{name}").open(encoding="utf-8") as lines:
            for fields in (line.split() for line in lines if not line.startswith(" ")):
                if _plain(fields[0]):
                    senses = fields[-int(fields[2]) :]
                    found[fields[0]].update((f"{kind}#{sense}", 0.5**rank) for rank, sense in enumerate(senses))
    return found


def _matches(path: Path, pattern: re.Pattern[str]) -> Iterable[re.Match[str]]:
    with path.open(encoding="utf-8") as lines:
        yield from filter(None, map(pattern.search, lines))


def _plain(word: str) -> bool:
    return word.isalpha() and word.islower() and len(word) > 1
