"""The same in another order: clauses, adverbs, questions; or, asked for by name, words that change places or go."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import Field

from affina.core.kinds import Desk
from affina.data.augmentation import Augmentation, Variation, taken_at
from affina.data.lexicon.languages import language_of
from affina.data.lexicon.orders import variants
from affina.data.lexicon.words import Choice, Edit, Slot, Word, words
from affina.data.variants import Edits, Piece


class WordOrder(Augmentation):
    """Adds variants whose clauses, adverbs of time or opening of a question stand otherwise.

    `clauses`, `adverbs` and `questions` are rules for Italian and English that keep a sentence grammatical: they act
    where punctuation and the first words leave no doubt, which is in few sentences. `swap` and `delete` (Wei, Zou,
    2019: random swap, random deletion) act anywhere and in any language, and promise no grammar. Words with tags never
    move.
    """

    forms: tuple[Literal["clauses", "adverbs", "questions", "swap", "delete"], ...] = Field(
        ("clauses", "adverbs", "questions"), min_length=1
    )
    """`clauses`: a subordinate clause before or after its main clause · `adverbs`: *yesterday* first · `questions`:
    *How do I* → *How can I* · `swap`: words change places · `delete`: words are left out."""
    window: int = Field(3, ge=1)
    """How far apart, in words, two words are that swap."""

    def opened(self, desk: Desk) -> Variation:
        return _Ordered(self)


class _Ordered:
    def __init__(self, part: WordOrder) -> None:
        self._part = part

    def vary(self, texts: Sequence[Piece], draws: Sequence[Random]) -> list[Edits]:
        return [self._one(piece, dice) for piece, dice in zip(texts, draws, strict=True)]

    def told(self) -> str:
        return ""

    def _one(self, piece: Piece, dice: Random) -> Edits:
        """By one of the forms, drawn among those that find something to do."""
        for form in dice.sample(self._part.forms, len(self._part.forms)):
            if form == "swap":
                edits = self._swapped(piece, dice)
            elif form == "delete":
                edits = self._deleted(piece, dice)
            else:
                language = language_of(piece.text)
                found = variants(piece.text, language, (form,)) if language else []
                edits = taken_at(piece, [Slot((Choice(each, 1.0),)) for each in found], 1.0, dice)
            if edits:
                return edits
        return ()

    def _swapped(self, piece: Piece, dice: Random) -> Edits:
        """A share of the words, each with one near it."""
        held = [word for word in words(piece.text) if word.is_word]
        slots = [
            Slot(tuple(self._exchange(held, at, other) for other in self._near(held, at)))
            for at in range(len(held))
            if self._near(held, at)
        ]
        return taken_at(piece, slots, self._part.rate, dice)

    def _near(self, held: Sequence[Word], at: int) -> range:
        return range(at + 1, min(len(held), at + 1 + self._part.window))

    def _exchange(self, held: Sequence[Word], at: int, other: int) -> Choice:
        one, two = held[at], held[other]
        return Choice((Edit(one.start, one.stop, two.text), Edit(two.start, two.stop, one.text)), 1.0)

    def _deleted(self, piece: Piece, dice: Random) -> Edits:
        """A share of the words, with the space after them; never all."""
        held = [word for word in words(piece.text) if word.is_word]
        slots = []
        for word in held:
            stop = word.stop + (piece.text[word.stop : word.stop + 1] == " ")
            slots.append(Slot((Choice((Edit(word.start, stop, ""),), 1.0),)))
        edits = taken_at(piece, slots, self._part.rate, dice)
        return edits if len(edits) < len(held) else edits[1:]
