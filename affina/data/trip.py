"""The round trip of a question: does it lead back to its answer, and is the passage needed? By log-probabilities.

A question leads back where the model, given passage and question, raises its answer above what it gives it for an
empty question by more than it raises any other stretch of the passage (roundtrip consistency, Alberti et al. 2019,
ranked instead of generated, so that small models can be asked).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from affina.core.kinds import Model
from affina.data.asked import Put, likelihoods
from affina.data.prompt import prompt

EMPTY = {"en": "What does it say?", "it": "Che cosa dice?"}
"""A question that leads to no stretch more than to another."""
RIVALS = 4
"""Other stretches that an answer is ranked among, at most."""


class Asked(NamedTuple):
    """A question about a passage, its answer, and other stretches that might answer it."""

    tongue: str
    passage: str
    question: str
    answer: str
    rivals: tuple[str, ...]


class Trip(NamedTuple):
    """What the model's log-probabilities say of a question, in nats."""

    lead: float | None
    """By how much the question raises its answer above the rival it raises most; None where there is no rival."""
    needed: float
    """By how much the passage raises the answer."""

    def plain(self) -> dict[str, float | None]:
        return {"lead": None if self.lead is None else round(self.lead, 4), "needed": round(self.needed, 4)}


def trips(model: Model, asked: Sequence[Asked]) -> list[Trip]:
    """The round trip of every question, scored in one batch: prefixes that the rows share stand once."""
    pairs: list[tuple[Put, str]] = []
    for each in asked:
        for answer in (each.answer, *each.rivals):
            pairs.append((_read(each, each.question), f" {answer}"))
            pairs.append((_read(each, EMPTY[each.tongue]), f" {answer}"))
        pairs.append((Put(prompt(f"answer_unread_{each.tongue}"), {"question": each.question}), f" {each.answer}"))
    scores, made = iter(likelihoods(model, pairs).tolist()), []
    for each in asked:
        raised, with_passage = [], 0.0
        for place in range(1 + len(each.rivals)):
            score, before = next(scores), next(scores)
            raised.append(score - before)
            with_passage = score if place == 0 else with_passage
        lead = raised[0] - max(raised[1:]) if each.rivals else None
        made.append(Trip(lead, with_passage - next(scores)))
    return made


def _read(asked: Asked, question: str) -> Put:
    given: Mapping[str, str] = {"passage": asked.passage, "question": question}
    return Put(prompt(f"answer_{asked.tongue}"), given)
