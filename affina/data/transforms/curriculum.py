"""The training rows in an order to learn them in: by length, by a column, or by how hard a model finds them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Message, Text
from affina.core.kinds import Desk, Model, Transform
from affina.data.made import need_split
from affina.data.texts import texts

TOGETHER = 64
"""Examples that a model scores at once."""
HELD = 100_000
"""Examples in memory at once: a larger training split is put in order in several passes."""


class Curriculum(Transform):
    """Puts the training rows in order, easiest first; the regime `ordered` then trains in that order or lets the share
    of rows that is trained on grow (Platanios et al. 2019). Rows of other splits come first, as they were.
    """

    orders: ClassVar[bool] = True

    by: Literal["length", "fact", "loss"] = "length"
    """What is hard: many words, a high number in the column `fact`, or many nats per target token under `model`."""
    fact: str | None = None
    """The column, kept beside the row, whose number is its difficulty."""
    model: str | None = None
    """The model whose loss is the difficulty: a base that goes on from a text, or a run."""
    hardest_first: bool = False
    """The opposite order."""

    @model_validator(mode="after")
    def _told_by_what(self) -> Self:
        if (self.by == "fact") != (self.fact is not None) or (self.by == "loss") != (self.model is not None):
            raise ValueError("by: fact goes with `fact: COLUMN`, by: loss with `model: MODEL`, by: length with neither")
        return self

    def reads(self) -> tuple[str, ...]:
        return (self.fact,) if self.fact else ()

    def asks(self) -> tuple[str, ...]:
        """The model whose loss it is."""
        return (self.model,) if self.model else ()

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The same examples, training rows last and in order. Raises Refused for a difficulty that is no number."""
        need_split(examples, "curriculum")
        hard_N = self._difficulty(examples, desk)
        order = np.argsort(-hard_N if self.hardest_first else hard_N, kind="stable")
        yield from (example for example in examples if example.split != "train")
        rank_N = np.empty(len(order), np.int64)
        rank_N[order] = np.arange(len(order))
        for start in range(0, len(order), HELD):
            held: dict[int, Example] = {}
            for rank, example in zip(rank_N.tolist(), _training(examples), strict=True):
                if start <= rank < start + HELD:
                    held[rank] = example
            yield from (held[rank] for rank in sorted(held))
        if len(hard_N):
            low, middle, high = np.quantile(hard_N, [0, 0.5, 1])
            what = {"length": "words", "fact": self.fact, "loss": "nats per token"}[self.by]
            first = "hardest" if self.hardest_first else "easiest"
            desk.notes.append(f"curriculum: {first} first; {what} {low:.4g} to {high:.4g}, half under {middle:.4g}")

    def _difficulty(self, examples: Collection[Example], desk: Desk) -> npt.NDArray[np.float64]:
        """[N] of the training rows, in order."""
        if self.by == "loss":
            assert self.model is not None
            model = desk.open(self.model)
            left = iter(_training(examples))
            found: list[float] = []
            while held := list(islice(left, TOGETHER)):
                found += losses(model, held)
            return np.array(found, dtype=np.float64)
        measure = self._number if self.by == "fact" else _words
        return np.array([measure(example) for example in _training(examples)], dtype=np.float64)

    def _number(self, example: Example) -> float:
        told = example.facts.get(self.fact or "", "")
        try:
            number = float(told.replace(",", "."))
        except ValueError:
            number = np.nan
        if not np.isfinite(number):
            raise Refused(
                f"curriculum: '{told}' in column '{self.fact}' is no number",
                why="rows are put in order by it",
                instead="give each row a number, or order by length",
                where=example.id,
            )
        return number


def losses(model: Model, examples: Sequence[Example]) -> list[float]:
    """Nats per target token of each example: a text's own tokens, a conversation's answers, or its target as an answer.

    Raises Refused for a model that gives words no probabilities.
    """
    asked = [
        example
        if isinstance(example, Chat | Text)
        else Chat(id=example.id, messages=(Message("user", example.given), Message("assistant", example.target)))
        for example in examples
    ]
    found = []
    for example in asked:
        scored = model.score(model.renderer.rows([example]))
        nats = -sum(float(each.logprobs_S.sum()) for each in scored)
        count = sum(len(each.logprobs_S) for each in scored)
        if not count:
            raise Refused(
                "curriculum: the model gives no probabilities of words",
                why=f"{example.id} has no token that it says",
                instead="choose a base that goes on from a text in words",
            )
        found.append(nats / count)
    return found


def _training(examples: Collection[Example]) -> Iterator[Example]:
    return (example for example in examples if example.split == "train")


def _words(example: Example) -> float:
    return float(sum(len(text.split()) for text in texts(example)))
