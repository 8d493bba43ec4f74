"""Characters go wrong as under fingers and scanners: neighbouring keys, look-alikes, drops, swaps, repetitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal

from pydantic import Field

from affina.core.kinds import Desk
from affina.data.augmentation import Augmentation, Variation, places
from affina.data.lexicon.slips import CONFUSIONS, neighbours
from affina.data.lexicon.words import Edit
from affina.data.variants import Edits, Piece

Slip = Literal["keyboard", "ocr", "drop", "swap", "insert", "duplicate"]


class Noise(Augmentation):
    """Adds variants with slips in the letters: a key beside the right one, a shape taken for another, a letter left
    out, twice or in its neighbour's place (Belinkov, Bisk, 2018). Digits, addresses, names with @ or #, tagged entities
    and answers stay.
    """

    rate: float = Field(0.03, gt=0, le=1)
    """The share of letters that go wrong; one at least."""
    kinds: tuple[Slip, ...] = Field(("keyboard", "drop", "swap", "insert", "duplicate"), min_length=1)
    """`keyboard`: a neighbouring key for the right one · `ocr`: what scanners misread · `drop` · `swap`: two letters in
    the other order · `insert`: a neighbouring key beside the right one · `duplicate`."""
    layout: Literal["it", "en"] = "it"
    """The keyboard."""
    digits: bool = False
    """Digits go wrong too."""

    def opened(self, desk: Desk) -> Variation:
        return _Slipping(self)


class _Slipping:
    """Draws the places, then at each a kind of slip that can happen there."""

    def __init__(self, part: Noise) -> None:
        self._part = part
        self._keys = neighbours(part.layout)

    def vary(self, texts: Sequence[Piece], draws: Sequence[Random]) -> list[Edits]:
        return [self._one(piece, dice) for piece, dice in zip(texts, draws, strict=True)]

    def told(self) -> str:
        return ""

    def _one(self, piece: Piece, dice: Random) -> Edits:
        free = [at for at, character in enumerate(piece.text) if self._may(character)]
        wanted = max(1, sum(dice.random() < self._part.rate for _ in free))
        edits: list[Edit] = []
        touched: set[int] = set()
        for at in dice.sample(free, len(free)):
            if wanted == 0:
                break
            for edit in self._slips(piece.text, at, dice):
                if piece.allows((edit,)) and touched.isdisjoint(places((edit,))):
                    edits.append(edit)
                    touched.update(places((edit,)))
                    wanted -= 1
                    break
        return tuple(sorted(edits))

    def _may(self, character: str) -> bool:
        return character.isalpha() or (self._part.digits and character.isdigit())

    def _slips(self, text: str, at: int, dice: Random) -> Iterator[Edit]:
        """What can go wrong at a place, in drawn order."""
        for kind in dice.sample(self._part.kinds, len(self._part.kinds)):
            if (edit := self._slip(kind, text, at, dice)) is not None:
                yield edit

    def _slip(self, kind: Slip, text: str, at: int, dice: Random) -> Edit | None:
        one = text[at]
        if kind == "drop":
            return Edit(at, at + 1, "")
        if kind == "duplicate":
            return Edit(at, at + 1, one * 2)
        if kind == "swap":
            after = text[at + 1 : at + 2]
            return Edit(at, at + 2, after + one) if after and self._may(after) and after != one else None
        if kind == "ocr":
            return self._misread(text, at, dice)
        keys = [each for each in self._keys.get(one.lower(), "") if self._may(each)]
        if not keys:
            return None
        key = dice.choice(keys)
        key = key.upper() if one.isupper() else key
        return Edit(at, at + 1, key if kind == "keyboard" else dice.choice((one + key, key + one)))

    def _misread(self, text: str, at: int, dice: Random) -> Edit | None:
        found = [
            Edit(at, at + size, wrong)
            for size in (1, 2)
            for wrong in CONFUSIONS.get(text[at : at + size], ())
            if self._part.digits or not any(character.isdigit() for character in text[at : at + size] + wrong)
        ]
        return dice.choice(found) if found else None
