"""Which words can stand for a word: those of the same senses that are sure enough and common enough."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from affina.data.lexicon.mythes import Thesaurus
from affina.data.lexicon.synsets import Synsets

_BESIDE_BEST = 0.6


@dataclass(frozen=True)
class Synonyms:
    """The synonyms of one language, chosen."""

    synsets: Synsets
    common: Mapping[str, float]
    """How common a word is, on Zipf's scale."""
    never: Collection[str]
    """Words that are not put in."""
    sure: float = 0.35
    """How surely a synonym must mean the same; and at least 0.6 times as surely as the surest one."""
    listed: float = 0.3
    """How surely where the thesaurus lists the two words together."""
    least: float = 3.2
    """How common a synonym must be (Zipf): 3 is once in a million words."""
    thesaurus: Thesaurus | None = None
    """A second opinion."""

    def of(self, lemma: str, kind: str) -> list[tuple[str, float]]:
        """Synonyms and how sure each is, in alphabetical order."""
        found = {
            other: sure
            for other, sure in self.synsets.synonyms(lemma, kind).items()
            if self.usual(other) and other not in self.never and sure >= self._least(lemma, other)
        }
        best = max(found.values(), default=0.0)
        return sorted((other, sure) for other, sure in found.items() if sure >= _BESIDE_BEST * best)

    def _least(self, lemma: str, other: str) -> float:
        return min(self.listed, self.sure) if self.thesaurus and self.thesaurus.has(lemma, other) else self.sure

    def usual(self, form: str) -> bool:
        """Whether a form is common enough."""
        return self.common.get(form, 0.0) >= self.least
