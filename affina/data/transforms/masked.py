"""Words that a masked language model finds likeliest in their place, the words themselves hidden."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Gapped
from affina.core.kinds import Desk, Model
from affina.data.augmentation import Augmentation, Variation
from affina.data.lexicon import english_forms, italian_forms
from affina.data.lexicon.words import Edit, Word, edited, words
from affina.data.variants import Edits, Piece

_FUNCTION_WORDS = english_forms.FUNCTION_WORDS | italian_forms.FUNCTION_WORDS
_SHORTEST = 4


class Masked(Augmentation):
    """Adds variants in which some words are what a masked model says there (Kobayashi, 2018; Wu et al., 2019).

    Hidden are words in small letters of four letters or more that are no function words. A word stays where the model
    says the same again, a piece of a word, or a sign. The model sees the text, not what the example teaches: words that
    decide a class can be lost, so a model that was trained further on the same texts is the better choice.
    """

    model: str = Field("", min_length=0)
    """The masked model: a run of the objective masked_lm, or a base with masks (BERT, RoBERTa)."""

    def asks(self) -> tuple[str, ...]:
        """The model that fills in."""
        return (self.model,) if self.model else ()

    def opened(self, desk: Desk) -> Variation:
        if not self.model:
            raise Refused("`masked` has no model", instead="set `model` to a run of masked_lm or to a base with masks")
        return _Filling(self, desk.open(self.model))


class _Filling:
    def __init__(self, part: Masked, model: Model) -> None:
        renderer: Any = model.renderer
        self._part, self._model, self._vocabulary = part, model, getattr(renderer, "vocabulary", None)
        named = self._vocabulary.named if self._vocabulary else {}
        self._mask = str(named.get("mask_token", ""))
        if not self._mask:
            why = "its tokenizer names no mask token"
            raise Refused(f"{part.model} cannot fill words in", why, "choose a base that was trained with masks")
        self._hidden = self._same = 0

    def vary(self, texts: Sequence[Piece], draws: Sequence[Random]) -> list[Edits]:
        chosen = [self._places(piece, dice) for piece, dice in zip(texts, draws, strict=True)]
        asked = [place for place, held in enumerate(chosen) if held]
        hidden = [
            edited(texts[place].text, (Edit(word.start, word.stop, self._mask) for word in chosen[place]))
            for place in asked
        ]
        said = self._said(hidden)
        found: list[Edits] = [() for _ in texts]
        for place, tokens in zip(asked, said, strict=True):
            if len(tokens) == len(chosen[place]):  # else the text itself spells the mask, or was cut
                found[place] = self._edits(texts[place], chosen[place], tokens)
        return found

    def told(self) -> str:
        return f"{self._same} of {self._hidden} hidden words stayed as they were" if self._hidden else ""

    def _places(self, piece: Piece, dice: Random) -> list[Word]:
        """The words to hide, in order."""
        free = [
            word
            for word in words(piece.text)
            if word.text.isalpha()
            and word.text.islower()
            and len(word.text) >= _SHORTEST
            and word.text not in _FUNCTION_WORDS
            and piece.allows((Edit(word.start, word.stop, "x"),))
        ]
        wanted = min(len(free), max(1, round(self._part.rate * len(free))))
        return sorted(dice.sample(free, wanted), key=lambda word: word.start)

    def _said(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens the model says at the gaps of each text."""
        examples = [Gapped(id=f"hidden:{place}", text=text, share=0.0) for place, text in enumerate(texts)]
        rows = [[row for row in self._model.renderer.rows([example]) if row.targets] for example in examples]
        flat = [row for held in rows for row in held]
        said = iter(self._model.fill(flat) if flat else [])
        return [[int(token) for _ in held for token in next(said)] for held in rows]

    def _edits(self, piece: Piece, held: Sequence[Word], tokens: Sequence[int]) -> Edits:
        made = []
        for word, token in zip(held, tokens, strict=True):
            self._hidden += 1
            new = self._word(token)
            edit = Edit(word.start, word.stop, new)
            if not new or new.lower() == word.lower or not piece.allows((edit,)):
                self._same += 1
                continue
            made.append(edit)
        return tuple(made)

    def _word(self, token: int) -> str:
        """A token as a whole word; empty for a piece of one, a sign, a number."""
        text = self._model.renderer.text([token]).strip()
        if not text.isalpha() or len(text) < 2 or self._vocabulary is None:
            return ""
        after_a_space = self._vocabulary.encode([f"a {text}"])[0].ids
        return text if after_a_space[-1:] == [token] else ""
