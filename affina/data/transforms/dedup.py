"""Duplicates: of rows that show and teach the same, nearly the same or the same in meaning, the first is kept.

Exact repetition is of everything but white space; near: MinHash, then Jaccard (`near.clusters`); in meaning: cosine of
a model's embeddings (SemDeDup, Abbas et al. 2023).
"""

from collections.abc import Collection, Iterable
from hashlib import blake2b

import numpy as np
from pydantic import Field, model_validator

from affina.core.example import Example
from affina.core.kinds import Desk, Transform
from affina.data.bits import bits
from affina.data.content import contents, taught
from affina.data.held import at, without
from affina.data.minhash import Indices, first_of_equal
from affina.data.near import clusters
from affina.data.together import Mapped, compared


class Dedup(Transform):
    """Drops repetitions. The same text with another target is none: both stay, and preparation counts them."""

    near: float | None = Field(None, gt=0, le=1)
    """Drop also what is this similar (Jaccard, sets of 5 characters) to an earlier row with the same target."""
    semantic: float | None = Field(None, gt=0, le=1)
    """Drop also what is as close as this (cosine of embeddings) to an earlier row with the same target."""
    model: str | None = None
    """The model whose embeddings `semantic` compares: a base or a run."""

    @model_validator(mode="after")
    def _both(self) -> "Dedup":
        if (self.semantic is None) != (self.model is None):
            raise ValueError("`semantic` and `model` go together: a threshold, and whose embeddings are compared")
        return self

    def asks(self) -> tuple[str, ...]:
        """The model that embeds."""
        return (self.model,) if self.model else ()

    def apply(self, examples: Collection[Example], desk: Desk) -> Collection[Example]:
        """The examples without repetitions, order kept; each dropped one names the row it repeats."""
        kinds = [("exact duplicate of", _equal(examples, first_of_equal(contents(examples))))]
        if self.near is not None or self.semantic is not None:
            same_N = _firsts((example.target for example in examples), len(examples))
            if self.near is not None:
                kinds.append(("near duplicate of", _both(clusters(Mapped(examples, compared), self.near), same_N)))
            if self.semantic is not None and self.model is not None:
                from affina.data.meaning import alike

                vectors = desk.open(self.model).embed
                found = alike(Mapped(examples, compared), vectors, self.semantic, same_N)
                kinds.append(("in meaning a duplicate of", found))
        return _kept(examples, kinds, desk)


def _equal(examples: Collection[Example], first_N: Indices) -> Indices:
    """The groups without what only has the first one's hash."""
    places = np.flatnonzero(first_N != np.arange(len(first_N)))
    told = np.union1d(places, first_N[places])
    seen: dict[int, bytes] = {}
    first_N = first_N.copy()
    for place, example in zip(told.tolist(), at(examples, told), strict=True):
        found = blake2b(taught(example).encode(), digest_size=16).digest()
        if seen.setdefault(int(first_N[place]), found) != found:
            first_N[place] = place
    return first_N


def _kept(examples: Collection[Example], kinds: list[tuple[str, Indices]], desk: Desk) -> Collection[Example]:
    """`kinds`: how to say it, and of each example [N] the first of its group."""
    first_N, which_N = np.arange(len(examples)), np.zeros(len(examples), np.int8)
    for number, (_, found_N) in enumerate(kinds):
        new = (first_N == np.arange(len(first_N))) & (found_N != first_N)
        first_N[new], which_N[new] = found_N[new], number
    places = np.flatnonzero(first_N != np.arange(len(first_N)))
    named = np.unique(first_N[places])
    names = dict.fromkeys(named.tolist(), "")
    told = np.union1d(places, named)
    repeats = np.isin(told, places).tolist()
    for place, repeat, example in zip(told.tolist(), repeats, at(examples, told), strict=True):
        if place in names:
            names[place] = example.id
        if repeat:
            desk.books.drop(example, f"{kinds[which_N[place]][0]} {names[int(first_N[place])]}")
    return without(examples, places)


def _firsts(texts: Iterable[str], count: int) -> Indices:
    """For each the place of the first that is equal; of each text 64 bits are kept, so that two of a hundred million
    that differ are taken for equal once in 3,700 data sets of that size."""
    return first_of_equal(np.fromiter(map(bits, texts), np.uint64, count))


def _both(one_N: Indices, two_N: Indices) -> Indices:
    """Groups of what is together in both."""
    _, begins, which = np.unique(np.stack([one_N, two_N]), axis=1, return_index=True, return_inverse=True)
    return begins[which].astype(np.int64)
