"""Passages, stretches of them that can be answers, and questions on their way to becoming rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from affina.core.kinds import Made
from affina.data.chunks import sentences
from affina.data.documents import Document
from affina.data.likeness import words
from affina.data.spans import Span, spans
from affina.data.trip import RIVALS, Asked, Trip

FEWEST = 20
"""Words that a passage has, at least."""
PROSE = 0.75
"""Share of letters and spaces in a passage: below it is a table, a list of addresses, markup."""
RULE = "rule"
"""By whom a question is that no model asked."""
FILTERS = ("passage", "span", "wording", "no repetition")


class Passage(NamedTuple):
    """A stretch of a document."""

    document: Document
    start: int
    stop: int

    @property
    def text(self) -> str:
        return self.document.text[self.start : self.stop]

    @property
    def origin(self) -> dict[str, Any]:
        return {"document": self.document.id, "start": self.start, "stop": self.stop}

    @property
    def flaw(self) -> str:
        """Why nothing is asked about it; empty where something may be."""
        text = self.text
        if len(words(text)) < FEWEST:
            return "the passage is too short"
        plain = sum(sign.isalpha() or sign.isspace() for sign in text) >= PROSE * len(text)
        return "" if plain and not re.search(r"[=_*.-]{5}|[^\S\n]{8}", text) else "the passage is no prose"


class Idea(NamedTuple):
    """A question for a stretch of a passage, and by whom: a prompt's reference, or RULE."""

    passage: Passage
    tongue: str
    span: Span
    question: str
    by: str

    @property
    def answer(self) -> str:
        return self.passage.text[self.span.start : self.span.stop]

    def made(self, trip: Trip | None, problem: str) -> Made:
        """The row, kept where there is no problem."""
        answers = {"text": [self.answer], "answer_start": [self.span.start]}
        row = {"question": self.question, "context": self.passage.text, "answers": answers}
        tried = [
            name for name, nats in (("leads back", trip and trip.lead), ("passage needed", trip)) if nats is not None
        ]
        measured = {} if trip is None else {"nats": trip.plain()}
        tried += [] if self.by == RULE else ["answered again"]
        origin = {**self.passage.origin, "kind": self.span.kind, "by": self.by, **measured}
        return Made(row, origin, () if problem else (*FILTERS, *tried), problem)

    def put(self) -> Asked:
        """The question as its round trip needs it: rivals are other stretches, those of the same kind first."""
        text = self.passage.text
        others = [each for each in spans(text) if each.stop <= self.span.start or self.span.stop <= each.start]
        others.sort(key=lambda each: (each.kind != self.span.kind, each.start))
        rivals = tuple(spaced(text[each.start : each.stop]) for each in others[:RIVALS])
        return Asked(self.tongue, spaced(text), self.question, spaced(self.answer), rivals)


def sentence_of(text: str, span: Span) -> tuple[int, int]:
    """The sentence of a text that holds a stretch; the stretch itself where it lies across several."""
    held = (each for each in sentences(text) if each[0] <= span.start and span.stop <= each[1])
    return next(held, (span.start, span.stop))


def best_first(tried: Iterable[tuple[Idea, Trip]]) -> Iterator[Sequence[tuple[Idea, Trip]]]:
    """The questions for each answer, in groups: by their lead, where there is none by how needed the passage is."""
    groups: dict[tuple[str, int, Span], list[tuple[Idea, Trip]]] = {}
    for idea, trip in tried:
        groups.setdefault((idea.passage.document.id, idea.passage.start, idea.span), []).append((idea, trip))
    for held in groups.values():
        yield sorted(held, key=lambda pair: -(pair[1].needed if pair[1].lead is None else pair[1].lead))


def spaced(text: str) -> str:
    """On one line."""
    return " ".join(text.split())


def drawn(*of: object) -> int:
    """A number that is a function of these alone."""
    return int.from_bytes(blake2b("\0".join(map(str, of)).encode("utf-8", "surrogatepass"), digest_size=8).digest())
