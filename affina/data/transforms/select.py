"""A few training rows in place of all: drawn, spread out, typical, or like the rows that will be measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from heapq import nsmallest
from typing import Literal

from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Example, Labelled
from affina.core.kinds import Desk, Model, Transform
from affina.data.made import draw, need_split
from affina.data.subset import covering, spread
from affina.data.vectors import similarities, vectors

POOL = 20_000
"""Rows that are compared with each other: of more, so many are drawn first."""
LIKENED = 2_000
"""Rows that chosen ones are to be like: of more, so many are drawn."""


class Select(Transform):
    """Keeps `n` training rows, or `n` of each class, and drops the others.

    Likeness is the cosine of what a model embeds, or of TF-IDF without one. Labels of the rows that are likened to are
    never looked at.
    """

    n: int = Field(100, ge=1)
    """Rows to keep."""
    per: Literal["all", "label"] = "all"
    """`n` of the whole training split, or of each class."""
    how: Literal["random", "diverse", "typical", "similar"] = "random"
    """`random`: drawn; `diverse`: each the farthest from those before (k-center); `typical`: together nearest to all
    training rows; `similar`: together nearest to the rows of `like` (facility location)."""
    like: Literal["validation", "test"] = "validation"
    """The split whose texts `similar` rows resemble."""
    model: str | None = None
    """A model that embeds the texts; TF-IDF of their words when left out."""

    def asks(self) -> tuple[str, ...]:
        """The model that embeds."""
        return (self.model,) if self.model else ()

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The rows chosen and those of other splits, in order. Raises Refused where there is nothing to be like."""
        need_split(examples, "select")
        groups = self._groups(examples, desk.seed)
        model = desk.open(self.model) if self.model and self.how != "random" else None
        alike = self._likened(examples, desk.seed) if self.how == "similar" and groups else []
        kept: set[str] = set()
        for held in groups.values():
            kept.update(held[place].id for place in self._chosen(held, alike, model))
        counts: Counter[bool] = Counter()
        for example in examples:
            if example.split == "train":
                counts[example.id in kept] += 1
                if example.id not in kept:
                    desk.books.drop(example, "select: not among the rows chosen")
                    continue
            yield example
        desk.notes.append(f"select: {counts[True]} of {counts.total()} training rows kept, {self.how}")

    def _groups(self, examples: Collection[Example], seed: int) -> dict[str, list[Example]]:
        """Training rows by class, or all under one name; at most POOL of each, in the order of their draws."""
        lots: dict[str, list[tuple[int, str]]] = {}
        for example in examples:
            if example.split == "train":
                lots.setdefault(self._group(example), []).append((draw(example, seed, "select"), example.id))
        least = self.n if self.how == "random" else max(POOL, self.n)
        drawn = {group: nsmallest(least, lot) for group, lot in lots.items()}
        held = {id: place for lot in drawn.values() for place, (_, id) in enumerate(lot)}
        found: dict[str, dict[int, Example]] = {group: {} for group in lots}
        for example in examples:
            if example.split == "train" and example.id in held:
                found[self._group(example)][held[example.id]] = example
        return {group: [each[place] for place in sorted(each)] for group, each in found.items()}

    def _group(self, example: Example) -> str:
        if self.per == "all":
            return ""
        if not isinstance(example, Labelled):
            raise Refused(
                f"select cannot tell the classes of {type(example).__name__.lower()} examples",
                why="they have no class of their own",
                instead="write `per: all`",
            )
        return example.label

    def _likened(self, examples: Collection[Example], seed: int) -> list[str]:
        lots = ((draw(each, seed, "select"), each.id, each.given) for each in examples if each.split == self.like)
        found = [text for _, _, text in nsmallest(LIKENED, lots)]
        if not found:
            raise Refused(f"select: no row is in {self.like}", instead="write `like: test`, or another `how`")
        return found

    def _chosen(self, held: Sequence[Example], alike: Sequence[str], model: Model | None) -> list[int]:
        """The places of the rows to keep."""
        if self.how == "random" or len(held) <= self.n:
            return list(range(min(self.n, len(held))))
        own = [example.given for example in held]
        vectors_ND = vectors([*own, *alike], model)
        if self.how == "diverse":
            return spread(vectors_ND, self.n)
        likened = range(len(own), len(own) + len(alike)) if alike else range(0, len(own), -(-len(own) // LIKENED))
        return covering(similarities(vectors_ND[: len(own)], vectors_ND[list(likened)]), self.n)
