"""Texts written anew by models: asked in groups, filtered, and counted, so that a person sees what was kept and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Protocol

import numpy as np

from affina.core.example import Message, Parallel
from affina.core.kinds import Model, Sampling
from affina.data.lexicon.words import Edit
from affina.data.variants import Edits, Piece

_WRAPPED = (('"', '"'), ("“", "”"), ("«", "»"))


class Judge(Protocol):
    """Why a rewritten text is not kept; empty where it is."""

    def __call__(self, before: str, after: str) -> str: ...


class Tally:
    """What became of rewritten texts."""

    def __init__(self) -> None:
        self._ends: Counter[str] = Counter()

    def edits(self, piece: Piece, after: str, judge: Judge) -> Edits:
        """The whole text as one edit, where it is kept."""
        reason = unchanged(piece.text, after) or judge(piece.text, after)
        self._ends[reason or "kept"] += 1
        return () if reason else (Edit(0, len(piece.text), after),)

    def told(self) -> str:
        """How many texts were kept, and why others were not, in shares of all."""
        total = self._ends.total()
        if not total:
            return "no text could be written anew"
        parts = [f"{reason} {times / total:.0%}" for reason, times in self._ends.most_common()]
        return f"of {total} rewritten texts: {', '.join(parts)}"


def rewritable(texts: Sequence[Piece], draws: Sequence[Random], rate: float) -> list[int]:
    """The places of a share of the texts, drawn, of which nothing must stay where it is."""
    return [
        place
        for place, (piece, dice) in enumerate(zip(texts, draws, strict=True))
        if piece.whole and piece.text.strip() and dice.random() < rate
    ]


def unchanged(before: str, after: str) -> str:
    """Why a text says nothing new; empty where it does."""
    if not after.strip():
        return "empty"
    return "unchanged" if _bare(before) == _bare(after) else ""


def length_ratio(before: str, after: str, most: float) -> str:
    """Why a text's length is out of proportion, in characters; empty where it is not."""
    ratio = len(after) / len(before)
    return "" if 1 / most <= ratio <= most else "much longer or shorter"


def similarity(model: Model, before: str, after: str) -> float:
    """The cosine of two texts' vectors."""
    one, two = model.embed([before, after])
    return float(np.dot(one, two))


def answers(model: Model, asked: Sequence[str], how: Sampling) -> list[str]:
    """What a model of conversations answers to messages, one text each."""
    prompts = [model.renderer.opening([Message("user", text)]) for text in asked]
    return [_unwrapped(each.text) for each in model.sample(prompts, how)]


def results(model: Model, sources: Sequence[str], how: Sampling) -> list[str]:
    """What an encoder–decoder makes of texts."""
    prompts = [model.renderer.prompt(Parallel(id="asked", source=text, result="")) for text in sources]
    return [each.text.strip() for each in model.sample(prompts, how)]


def seeded(draws: Sequence[Random]) -> int:
    """A seed for a group of texts, from their own draws."""
    return draws[0].getrandbits(31) if draws else 0


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _unwrapped(text: str) -> str:
    """An answer without the quotation marks around all of it."""
    bare = text.strip()
    for first, last in _WRAPPED:
        if len(bare) > 1 and bare[0] == first and bare[-1] == last and first not in bare[1:-1]:
            return bare[1:-1].strip()
    return bare
