"""What all augmentations share: variants of training examples alone, a drawn change each, entered in the books."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from random import Random
from typing import Protocol

from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Example
from affina.core.kinds import Desk, Transform
from affina.data.lexicon.words import Choice, Edit, Slot
from affina.data.variants import Edits, Piece, changed, pieces

TOGETHER = 64
"""Examples whose variants are made at once, so that a model is asked in groups."""


class Variation(Protocol):
    """A way of changing texts, ready: lexica are read, models are open."""

    def vary(self, texts: Sequence[Piece], draws: Sequence[Random]) -> list[Edits]:
        """For each text its changes; none where there is nothing to change. Only what `Piece.allows`."""

    def told(self) -> str:
        """What a person should know of what was done, in sentences; empty for nothing."""


class Augmentation(Transform):
    """Adds variants of each example of the training split right after it.

    What an example teaches stays: its class, number, tags, answers and their places, result. Draws depend on the seed
    and on what the example says, not on where it stands. Variants are made of what was read, never of other variants.
    """

    rate: float = Field(0.1, gt=0, le=1)
    """The share of the places that can change which do; one at least."""
    count: int = Field(1, ge=1, le=100)
    """Variants of each training example; fewer where there are not so many different ones."""

    @abstractmethod
    def opened(self, desk: Desk) -> Variation:
        """Raises Refused or Failed for a lexicon or a model that is not to be had."""

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """Raises Refused where the examples are not split yet."""
        taken, train = self._surveyed(examples)
        if not train:
            yield from examples
            return
        variation, stream = self.opened(desk), iter(examples)
        made = without = 0
        while group := list(itertools.islice(stream, TOGETHER)):
            own = [each for each in group if _original(each)]
            variants = iter(self._variants(own, variation, desk.seed, taken))
            for example in group:
                yield example
                if _original(example):
                    found = next(variants)
                    made, without = made + len(found), without + (not found)
                    for each in found:
                        desk.books.make(each)
                        yield each
        note = f"{self.name}: {made} variants of {train} training examples; {without} have none"
        desk.notes.append(f"{note}. {variation.told()}".rstrip(". "))

    def _surveyed(self, examples: Collection[Example]) -> tuple[set[str], int]:
        """The ids of variants that are there already, and how many examples variants are made of."""
        taken: set[str] = set()
        train = 0
        for example in examples:
            if not example.split:
                raise Refused(
                    f"`{self.name}` cannot tell which rows are for training",
                    why="a variant of a test row would give its answer away",
                    instead="put `split` before it in `data.transforms`",
                    where=example.id,
                )
            train += _original(example)
            if example.made:
                taken.add(example.id)
        return taken, train

    def _variants(
        self, examples: Sequence[Example], variation: Variation, seed: int, taken: set[str]
    ) -> list[list[Example]]:
        """The variants of each example that differ from it and from one another."""
        texts = [pieces(example) for example in examples]
        asked = [(each, turn) for each in range(len(examples)) for turn in range(self.count)]
        draws = [_drawn(f"{seed}\0{self.name}\0{turn}", examples[each]) for each, turn in asked]
        flat = [piece for each, _ in asked for piece in texts[each]]
        chances = [dice for (each, _), dice in zip(asked, draws, strict=True) for _ in texts[each]]
        edits = iter(variation.vary(flat, chances))
        found: list[list[Example]] = [[] for _ in examples]
        for each, _ in asked:
            own = [next(edits) for _ in texts[each]]
            if any(own):
                self._enter(examples[each], own, found[each], taken)
        return found

    def _enter(self, example: Example, edits: Sequence[Edits], found: list[Example], taken: set[str]) -> None:
        """Adds the variant unless it says the same as the example or an earlier one."""
        variant = changed(example, edits)
        if variant.given in {example.given, *(each.given for each in found)} or not variant.given.strip():
            return
        own = {each.id for each in found}
        names = (f"{example.id}+{self.name}.{turn}" for turn in itertools.count(1))
        id = next(name for name in names if name not in taken and name not in own)
        found.append(_signed(variant, id, example.id, self.name))


def _signed(variant: Example, id: str, origin: str, made: str) -> Example:
    """The variant with an id of its own and where it comes from."""
    return replace(variant, id=id, origin=origin, made=made)


def _original(example: Example) -> bool:
    return example.split == "train" and not example.made


def _drawn(key: str, example: Example) -> Random:
    content = f"{key}\0{example.given}\0{example.target}".encode("utf-8", "surrogatepass")
    return Random(blake2b(content, digest_size=16).digest())


def taken_at(piece: Piece, slots: Sequence[Slot], rate: float, draws: Random) -> Edits:
    """One of the choices at a share of a text's slots, drawn; those that touch what must stay are none."""
    open_slots = []
    for slot in slots:
        allowed = [choice for choice in slot.choices if piece.allows(choice.edits)]
        if allowed:
            open_slots.append(allowed)
    wanted = max(1, round(rate * len(open_slots)))
    edits: list[Edit] = []
    touched: set[int] = set()
    for allowed in draws.sample(open_slots, len(open_slots)):
        chosen = _one(allowed, draws)
        if wanted and touched.isdisjoint(places(chosen.edits)):
            edits += chosen.edits
            touched.update(places(chosen.edits))
            wanted -= 1
    return tuple(sorted(edits))


def places(edits: Edits) -> Iterator[int]:
    """The places of a text that edits touch; an insertion touches the character after it."""
    for edit in edits:
        yield from range(edit.start, max(edit.stop, edit.start + 1))


def _one(choices: Sequence[Choice], draws: Random) -> Choice:
    return draws.choices(choices, [choice.weight for choice in choices])[0]
