"""Words exchanged for synonyms, Italian and English, agreement kept; what is not sure is left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Literal

from pydantic import Field

from affina.core.kinds import Desk
from affina.data.augmentation import Augmentation, Variation, taken_at
from affina.data.lexicon.languages import Language, Lexicon, Wanted, language_of, lexicon
from affina.data.variants import Edits, Piece


class Synonyms(Augmentation):
    """Adds variants in which some nouns, adjectives and adverbs are others of the same sense.

    Gender, number, articles, joined prepositions, *a*/*an* and the form of a verb agree: "La bambina legge un libro" →
    "La ragazzina legge un volume". Synonyms are of MultiWordNet beside the thesaurus mythes-it, and of WordNet 3.1;
    forms of Morph-it! and SPECIALIST; they are fetched once. Proper names, numbers and words that can be several things
    are left. What is kept is grammar; of meaning, only as much as two senses that share a set (Miller, 1995) say.
    """

    language: Literal["auto", "it", "en"] = "auto"
    """The language of the texts; `auto`: each text's own, and a text that is clearly in neither is left."""
    kinds: tuple[Literal["noun", "adjective", "adverb", "verb"], ...] = Field(
        ("noun", "adjective", "adverb"), min_length=1
    )
    """Which words are exchanged. Verbs are exchanged in English only, and what they govern is not checked."""
    sure: float | None = Field(None, gt=0, le=1)
    """How surely two words must mean the same: the chance, from 0 to 1, that the one has the sense of the other. Left
    out: 0.35 in English; 0.9 in Italian, or 0.3 where the thesaurus lists the two together."""
    thesaurus: str | None = None
    """A MyThes file that is asked in place of mythes-it, or beside WordNet in English
    (/usr/share/mythes/th_en_US_v2.dat)."""

    def files(self) -> tuple[str, ...]:
        """The thesaurus."""
        return (str(Path(self.thesaurus).expanduser()),) if self.thesaurus else ()

    def opened(self, desk: Desk) -> Variation:
        path = (desk.folder / Path(self.thesaurus).expanduser()) if self.thesaurus else None
        return _Exchanged(self, Wanted(self.kinds, self.sure, path), desk)


class _Exchanged:
    """Opens a language's lexicon when the first text in it comes."""

    def __init__(self, part: Synonyms, wanted: Wanted, desk: Desk) -> None:
        self._part, self._wanted, self._desk = part, wanted, desk
        self._lexica: dict[Language, Lexicon] = {}
        self._neither = 0

    def vary(self, texts: Sequence[Piece], draws: Sequence[Random]) -> list[Edits]:
        return [self._one(piece, dice) for piece, dice in zip(texts, draws, strict=True)]

    def told(self) -> str:
        return f"{self._neither} texts were clearly in neither Italian nor English" if self._neither else ""

    def _one(self, piece: Piece, dice: Random) -> Edits:
        language = self._part.language
        found = language_of(piece.text) if language == "auto" else language
        if found is None:
            self._neither += 1
            return ()
        if found not in self._lexica:
            self._lexica[found] = lexicon(found, self._wanted, self._desk)
        return taken_at(piece, self._lexica[found].slots(piece.text), self._part.rate, dice)
