"""Questions and answers from documents: an answer is a stretch of a passage, and its question is filtered and tried."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Text
from affina.core.kinds import Made, Maker, Record, Sampling, Workshop
from affina.data import wording
from affina.data.asked import Put, said
from affina.data.chunks import chunks
from affina.data.documents import Document, documents
from affina.data.overlap import likest, words
from affina.data.prompt import prompt
from affina.data.spans import Span, located, spans
from affina.data.trip import RIVALS, Asked, Trip, trips

TOGETHER = 8
"""Passages in a round."""
ASKED_TOKENS, ANSWERED_TOKENS = 40, 24
"""What a question and an answer may take."""
FEWEST = 20
"""Words that a passage has, at least."""
PROSE = 0.75
"""Share of letters and spaces in a passage: below it is a table, a list of addresses, markup."""
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
    def spaced(self) -> str:
        """As a model reads it: on one line."""
        return " ".join(self.text.split())


class Idea(NamedTuple):
    """A question for a stretch of a passage, on its way through the filters."""

    passage: Passage
    tongue: str
    span: Span
    question: str
    prompt: str

    @property
    def answer(self) -> str:
        return self.passage.text[self.span.start : self.span.stop]


class Questions(Maker):
    """Passages of whole sentences; of each, stretches that a rule takes for answers (or that the model answers with);
    for each stretch the best of several questions that pass every filter. Rows are SQuAD's."""

    makes: ClassVar[str] = "squad"

    tokens: int = Field(160, ge=32)
    """The longest passage, in tokens of the model."""
    ask: Literal["span", "free"] = "span"
    """Choose the answer by rule and ask for its question; or let the model ask and answer freely, which needs an abler
    model: an answer that does not stand in the passage, just once, is rejected."""
    answers: int = Field(3, ge=1)
    """Stretches of a passage that are tried as answers; questions that are tried where `ask` is free."""
    tries: int = Field(4, ge=1)
    """Questions sampled for each answer."""
    temperature: float = Field(0.7, ge=0)
    """Of sampling questions."""
    alike: float = Field(0.7, gt=0, le=1)
    """ROUGE-L from which a question repeats one that is kept, or an example of the prompt."""
    lead: float = 0.5
    """Nats by which a question must raise its answer above the other stretches of the passage."""
    needed: float = 1.0
    """Nats by which the passage must raise the answer: what the model knows without it is no question about it."""
    language: Literal["auto", "en", "it"] = "auto"
    """Of passages and questions; each passage's own when left out. Passages of other languages are passed over."""

    def material(self, records: Iterable[Record]) -> list[Document]:
        """Texts. Raises Refused where the records are rows of columns without one."""
        return documents(records)

    def rounds(self, material: Sequence[Document], workshop: Workshop) -> Iterator[list[Passage]]:
        """A passage of every document in turn, in an order of the seed, some at a time."""
        passages = self._passages(material, workshop)
        while held := list(islice(passages, TOGETHER)):
            yield held

    def round(self, about: list[Passage], kept: Sequence[Mapping[str, Any]], workshop: Workshop) -> Iterator[Made]:
        """Every question asked, kept or rejected, passage by passage."""
        read: list[tuple[Passage, str]] = []
        for passage in about:
            tongue, problem = self._judged(passage, workshop)
            if problem:
                yield Made({"context": passage.text}, _origin(passage), rejected=problem)
            else:
                read.append((passage, tongue))
        ideas: list[Idea] = []
        for made in (self._for_spans if self.ask == "span" else self._free)(read, workshop):
            if isinstance(made, Made):
                yield made
            else:
                ideas.append(made)
        yield from self._filtered(ideas, kept, workshop)

    def known(self) -> dict[str, str]:
        """The prompts with their versions."""
        named = ("question_for_span", "question", "answer", "answer_unread")
        return {f"{name}_{tongue}": prompt(f"{name}_{tongue}").reference for name in named for tongue in ("en", "it")}

    def _passages(self, material: Sequence[Document], workshop: Workshop) -> Iterator[Passage]:
        """Each document is divided when its turn first comes."""
        renderer = workshop.model.renderer
        if self.tokens * 2 > renderer.max_tokens:
            raise Refused(
                f"passages of {self.tokens} tokens",
                why=f"a prompt with its examples must fit into the {renderer.max_tokens} tokens that the model takes",
                instead=f"set tokens to {renderer.max_tokens // 4} or less",
            )

        def size(text: str) -> int:
            return len(renderer.continued(text))

        order = sorted(material, key=lambda each: _drawn(workshop.seed, each.id))
        left: dict[str, list[Passage]] = {}
        while order:
            for document in order:
                if document.id not in left:
                    found = [Passage(document, *each) for each in chunks(document.text, self.tokens, size)]
                    found.sort(key=lambda each: _drawn(workshop.seed, document.id, each.start))
                    left[document.id] = found
                if left[document.id]:
                    yield left[document.id].pop(0)
            order = [each for each in order if left[each.id]]

    def _judged(self, passage: Passage, workshop: Workshop) -> tuple[str, str]:
        """The passage's language, and why nothing is asked about it."""
        text = passage.text
        tongue = wording.language(text)
        if len(words(text)) < FEWEST:
            return tongue, "the passage is too short"
        if sum(sign.isalpha() or sign.isspace() for sign in text) < PROSE * len(text) or re.search(r"[=_*-]{5}", text):
            return tongue, "the passage is no prose"
        if not tongue or (self.language != "auto" and tongue != self.language):
            return tongue, "the passage is in another language"
        return tongue, workshop.objection(Text(id=passage.document.id, text=text))

    # ── the answer first ──
    def _for_spans(self, read: Sequence[tuple[Passage, str]], workshop: Workshop) -> Iterator[Idea | Made]:
        asked: list[tuple[Put, Passage, str, Span]] = []
        for passage, tongue in read:
            found = self._chosen(passage, workshop.seed)
            if not found:
                yield Made(
                    {"context": passage.text}, _origin(passage), rejected="the passage has no answer by the rules"
                )
            for span in found:
                openings = wording.OPENINGS[tongue][span.kind]
                for turn in range(self.tries):
                    answer = " ".join(passage.text[span.start : span.stop].split())
                    given = {"passage": passage.spaced, "answer": answer, "opening": openings[turn % len(openings)]}
                    asked.append((Put(prompt(f"question_for_span_{tongue}"), given), passage, tongue, span))
        how = self._sampling(workshop, read)
        answers = said(workshop.model, [put for put, *_ in asked], how)
        for (put, passage, tongue, span), sampled in zip(asked, answers, strict=True):
            question = _question(f"{put.given['opening']} {sampled.text.lstrip()}")
            yield Idea(passage, tongue, span, question, put.prompt.reference)

    def _chosen(self, passage: Passage, seed: int) -> list[Span]:
        """Stretches in an order of the seed, one of each kind before a second of any."""
        found = sorted(
            spans(passage.text), key=lambda each: _drawn(seed, passage.document.id, passage.start + each.start)
        )
        turns: dict[str, int] = {}
        ranked = []
        for span in found:
            turns[span.kind] = turns.get(span.kind, 0) + 1
            ranked.append((turns[span.kind], span))
        return [span for _, span in sorted(ranked, key=lambda pair: pair[0])][: self.answers]

    # ── the question first ──
    def _free(self, read: Sequence[tuple[Passage, str]], workshop: Workshop) -> Iterator[Idea | Made]:
        asked = [
            (Put(prompt(f"question_{tongue}"), {"passage": passage.spaced}), passage, tongue)
            for passage, tongue in read
            for _ in range(self.answers * self.tries)
        ]
        how = self._sampling(workshop, read)
        questions = [_question(each.text) for each in said(workshop.model, [put for put, *_ in asked], how)]
        puts = [
            Put(prompt(f"answer_{tongue}"), {"passage": passage.spaced, "question": question})
            for (_, passage, tongue), question in zip(asked, questions, strict=True)
        ]
        answers = said(workshop.model, puts, Sampling(ANSWERED_TOKENS, seed=workshop.seed))
        for (put, passage, tongue), question, answer in zip(asked, questions, answers, strict=True):
            given = answer.text.strip().split("\n")[0]
            found = located(given, passage.text)
            if found is None:
                row = {"question": question, "context": passage.text, "answer": given}
                yield Made(row, _origin(passage), rejected="the answer does not stand in the passage, once")
            else:
                yield Idea(passage, tongue, Span(*found, ""), question, put.prompt.reference)

    def _sampling(self, workshop: Workshop, read: Sequence[tuple[Passage, str]]) -> Sampling:
        """Draws of this round's own: they follow from the seed and the first passage."""
        first = f"{read[0][0].document.id}:{read[0][0].start}" if read else ""
        return Sampling(ASKED_TOKENS, self.temperature, 0.95, _drawn(workshop.seed, first) % 2**31)

    # ── filters ──
    def _filtered(self, ideas: Sequence[Idea], kept: Sequence[Mapping[str, Any]], workshop: Workshop) -> Iterator[Made]:
        pool = [words(row["question"]) for row in kept] + _examples()
        sound: list[Idea] = []
        for idea in dict.fromkeys(ideas):
            context = idea.passage.text
            problem = wording.flaw(idea.question, idea.answer, idea.span.kind, context, idea.tongue)
            if not problem and likest(words(idea.question), pool, self.alike):
                problem = "it repeats a question that is kept"
            if problem:
                yield _made(idea, None, problem)
            else:
                sound.append(idea)
        tried = trips(workshop.critic, [_put(each) for each in sound])
        for best, others in _best_first(list(zip(sound, tried, strict=True))):
            idea, trip = best
            problem = self._untrue(trip)
            if not problem and likest(words(idea.question), pool, self.alike):
                problem = "it repeats a question that is kept"
            if not problem:
                pool.append(words(idea.question))
            yield _made(idea, trip, problem)
            for idea, trip in others:
                yield _made(idea, trip, self._untrue(trip) or "another question for the same answer is better")

    def _untrue(self, trip: Trip) -> str:
        if trip.lead is not None and trip.lead < self.lead:
            return "it leads to another stretch of the passage"
        return "it is answered without the passage" if trip.needed < self.needed else ""


def _question(text: str) -> str:
    """The first line up to its question mark, on one line."""
    line = text.strip().split("\n")[0]
    return " ".join(line[: line.find("?") + 1 or None].split())


def _examples() -> list[list[str]]:
    """The questions that the prompts themselves show."""
    shown = [prompt(f"question_for_span_{tongue}").turns[0].content for tongue in ("en", "it")]
    return [words(line.partition(":")[2]) for text in shown for line in text.split("\n") if line.endswith("?")]


def _put(idea: Idea) -> Asked:
    text = idea.passage.text
    others = [each for each in spans(text) if each.stop <= idea.span.start or idea.span.stop <= each.start]
    others.sort(key=lambda each: (each.kind != idea.span.kind, each.start))
    rivals = [" ".join(text[each.start : each.stop].split()) for each in others[:RIVALS]]
    answer = " ".join(idea.answer.split())
    return Asked(idea.tongue, idea.passage.spaced, idea.question, answer, tuple(rivals))


def _best_first(tried: Sequence[tuple[Idea, Trip]]) -> Iterator[tuple[tuple[Idea, Trip], list[tuple[Idea, Trip]]]]:
    """For each answer its question of the largest lead, and the others."""
    groups: dict[tuple[str, int, Span], list[tuple[Idea, Trip]]] = {}
    for idea, trip in tried:
        groups.setdefault((idea.passage.document.id, idea.passage.start, idea.span), []).append((idea, trip))
    for held in groups.values():
        held.sort(key=lambda pair: -(pair[1].needed if pair[1].lead is None else pair[1].lead))
        yield held[0], held[1:]


def _made(idea: Idea, trip: Trip | None, problem: str) -> Made:
    answers = {"text": [idea.answer], "answer_start": [idea.span.start]}
    row = {"question": idea.question, "context": idea.passage.text, "answers": answers}
    measured = {} if trip is None else trip.plain()
    tried = [name for name, nats in (("leads back", trip and trip.lead), ("passage needed", trip)) if nats is not None]
    origin = {**_origin(idea.passage), "kind": idea.span.kind, "prompt": idea.prompt, "nats": measured}
    return Made(row, origin, () if problem else (*FILTERS, *tried), problem)


def _origin(passage: Passage) -> dict[str, Any]:
    return {"document": passage.document.id, "start": passage.start, "stop": passage.stop}


def _drawn(*of: object) -> int:
    """A number that is a function of these alone."""
    return int.from_bytes(blake2b("\0".join(map(str, of)).encode("utf-8", "surrogatepass"), digest_size=8).digest())
