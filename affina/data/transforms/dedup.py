"""Duplicates: of rows that show and teach the same, nearly the same or the same in meaning, the first is kept.

Exact repetition is of everything but white space; near: MinHash, then Jaccard (`near.clusters`); in meaning: cosine of
a model's embeddings (SemDeDup, Abbas et al. 2023).
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from affina.core.example import Chat, Example
from affina.core.kinds import Desk, Transform
from affina.data.bits import bits
from affina.data.minhash import Indices, first_of_equal
from affina.data.near import clusters
from affina.data.together import Mapped, compared

ASIDE = ("id", "split", "labels", "facts", "origin", "made")
"""What says where an example came from, not what it teaches."""


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

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples without repetitions, order kept; each dropped one names the row it repeats."""
        kinds = [("exact duplicate of", _firsts(map(_content, examples), len(examples)))]
        if self.near is not None or self.semantic is not None:
            same_N = _firsts((example.target for example in examples), len(examples))
            if self.near is not None:
                kinds.append(("near duplicate of", _both(clusters(Mapped(examples, compared), self.near), same_N)))
            if self.semantic is not None and self.model is not None:
                from affina.data.meaning import alike

                vectors = desk.open(self.model).embed
                found = alike(Mapped(examples, compared), vectors, self.semantic, same_N)
                kinds.append(("in meaning a duplicate of", found))
        yield from _kept(examples, kinds, desk)


def _kept(examples: Collection[Example], kinds: list[tuple[str, Indices]], desk: Desk) -> Iterator[Example]:
    """`kinds`: how to say it, and of each example [N] the first of its group."""
    repeats: dict[int, tuple[str, int]] = {}
    for what, first_N in kinds:
        places = np.flatnonzero(first_N != np.arange(len(first_N)))
        for place, first in zip(places.tolist(), first_N[places].tolist(), strict=True):
            repeats.setdefault(place, (what, first))
    names = dict.fromkeys((first for _, first in repeats.values()), "")
    for place, example in enumerate(examples):
        if place in names:
            names[place] = example.id
        if place in repeats:
            what, first = repeats[place]
            desk.books.drop(example, f"{what} {names[first]}")
        else:
            yield example


def _firsts(texts: Iterator[str], count: int) -> Indices:
    """For each the place of the first that is equal; of each text 64 bits are kept, so that two of a hundred million
    that differ are taken for equal once in 3,700 data sets of that size."""
    return first_of_equal(np.fromiter(map(bits, texts), np.uint64, count))


def _both(one_N: Indices, two_N: Indices) -> Indices:
    """Groups of what is together in both."""
    _, begins, which = np.unique(np.stack([one_N, two_N]), axis=1, return_index=True, return_inverse=True)
    return begins[which].astype(np.int64)


def _content(example: Example) -> str:
    """Everything the example shows and teaches, as one text with single spaces."""
    if not isinstance(example, Chat):
        kind: Any = type(example)
        told = [getattr(example, name) for name in _taught(kind)]
        # 1F is white space to `split`, so no part holds it
        return "\x1f".join([_spaced(each if isinstance(each, str) else repr(each)) for each in told])
    turns = [(turn.role, _spaced(turn.content), turn.extra) for turn in example.messages]
    return json.dumps([turns, example.tools, example.options], sort_keys=True)


@cache
def _taught(kind: type[Example]) -> tuple[str, ...]:
    """The fields of a kind of example that say what it teaches."""
    return tuple(each.name for each in fields(kind) if each.name not in ASIDE)


def _spaced(text: str) -> str:
    return " ".join(text.split())
