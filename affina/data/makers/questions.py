"""Questions and answers from documents: an answer is a stretch of a passage, and its question is filtered and tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Text
from affina.core.kinds import Made, Maker, Record, Sampling, Workshop
from affina.data import wording
from affina.data.asked import Put, said
from affina.data.chunks import chunks, sentences
from affina.data.documents import Document, documents
from affina.data.frames import Place, framed
from affina.data.ideas import RULE, Idea, Passage, best_first, drawn, sentence_of, spaced
from affina.data.likeness import likest, words
from affina.data.prompt import prompt
from affina.data.spans import Span, flattened, located, spans
from affina.data.trip import Trip, trips

TOGETHER = 8
"""Passages in a round."""
ASKED_TOKENS, ANSWERED_TOKENS = 28, 16
"""What a question and an answer may take."""
REPEATS = "it repeats a question that is kept"
Read = Sequence[tuple[Passage, str]]
"""Passages that are asked about, each with its language."""


class Questions(Maker):
    """Passages of whole sentences; of each, stretches that a rule takes for answers; for each stretch questions by the
    model and by rules of grammar, of which the best that passes every filter is kept. Rows are SQuAD's."""

    makes: ClassVar[str] = "squad"

    tokens: int = Field(160, ge=32)
    """The longest passage, in tokens of the model."""
    ask: Literal["rules", "model", "both", "free"] = "rules"
    """Who asks for an answer: rules of grammar, the model, or both; the model judges what either asks, and has to find
    the answers of its own questions again. `free`: the model asks and answers as it likes. A model of some 100 million
    weights asks few sound questions."""
    answers: int = Field(3, ge=1)
    """Stretches of a passage that are tried as answers; questions that are tried where `ask` is free."""
    tries: int = Field(4, ge=1)
    """Questions that the model is asked for, for each answer."""
    temperature: float = Field(0.7, ge=0)
    """Of sampling questions."""
    alike: float = Field(0.7, gt=0, le=1)
    """ROUGE-L from which a question repeats one that is kept, or an example of the prompt."""
    lead: float | None = 0.5
    """Nats by which a question must raise its answer above the other stretches of the passage; null: not asked, for a
    model that does not know the language."""
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
                yield Made({"context": passage.text}, passage.origin, rejected=problem)
            else:
                read.append((passage, tongue))
        ideas: list[Idea] = []
        for made in (self._free if self.ask == "free" else self._for_spans)(read, workshop):
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

        order = sorted(material, key=lambda each: drawn(workshop.seed, each.id))
        left: dict[str, list[Passage]] = {}
        while order:
            for document in order:
                if document.id not in left:
                    found = [Passage(document, *each) for each in chunks(document.text, self.tokens, size)]
                    found.sort(key=lambda each: drawn(workshop.seed, document.id, each.start))
                    left[document.id] = found
                if left[document.id]:
                    yield left[document.id].pop(0)
            order = [each for each in order if left[each.id]]

    def _judged(self, passage: Passage, workshop: Workshop) -> tuple[str, str]:
        """The passage's language, and why nothing is asked about it."""
        tongue = wording.language(passage.text)
        if passage.flaw:
            return tongue, passage.flaw
        if not tongue or (self.language != "auto" and tongue != self.language):
            return tongue, "the passage is in another language"
        return tongue, workshop.objection(Text(id=passage.document.id, text=passage.text))

    # ── the answer first ──
    def _for_spans(self, read: Read, workshop: Workshop) -> Iterator[Idea | Made]:
        asked: list[tuple[Put, Idea]] = []
        for passage, tongue in read:
            chosen = self._chosen(passage, tongue, workshop.seed)
            if not chosen:
                yield Made({"context": passage.text}, passage.origin, rejected="the passage has no answer by the rules")
            for span, questions in chosen:
                idea = Idea(passage, tongue, span, "", RULE)
                if self.ask != "model":
                    yield from (idea._replace(question=question) for question in questions)
                if self.ask != "rules":
                    asked += [(put, idea) for put in self._puts(idea)]
        answers = said(workshop.model, [put for put, _ in asked], self._sampling(workshop, read))
        for (put, idea), sampled in zip(asked, answers, strict=True):
            question = _question(f"{put.given['opening']} {sampled.text.lstrip()}")
            yield idea._replace(question=question, by=put.prompt.reference)

    def _chosen(self, passage: Passage, tongue: str, seed: int) -> list[tuple[Span, list[str]]]:
        """Stretches with the questions that rules find for them: in an order of the seed, those with questions first
        and one of each kind before a second of any."""
        text, turns = passage.text, dict[str, int]()
        found = sorted(spans(text), key=lambda each: drawn(seed, passage.document.id, passage.start + each.start))
        ranked = []
        for span in found:
            start, stop = sentence_of(text, span)
            place = Place.of(text[start:stop], span.start - start, span.stop - start, span.kind)
            questions = framed(place, tongue)
            turns[span.kind] = turns.get(span.kind, 0) + 1
            ranked.append((self.ask != "model" and not questions, turns[span.kind], span, questions))
        ranked.sort(key=lambda each: each[:2])
        return [(span, questions) for _, _, span, questions in ranked][: self.answers]

    def _puts(self, idea: Idea) -> Iterator[Put]:
        """The prompts that ask the model for the question of an answer, begun as a question of its kind begins."""
        text, openings = idea.passage.text, wording.OPENINGS[idea.tongue][idea.span.kind]
        start, stop = sentence_of(text, idea.span)
        for turn in range(self.tries):
            opening = openings[turn % len(openings)]
            given = {"sentence": spaced(text[start:stop]), "answer": spaced(idea.answer), "opening": opening}
            yield Put(prompt(f"question_for_span_{idea.tongue}"), given)

    # ── the question first ──
    def _free(self, read: Read, workshop: Workshop) -> Iterator[Idea | Made]:
        asked = [
            (Put(prompt(f"question_{tongue}"), {"passage": spaced(passage.text)}), passage, tongue)
            for passage, tongue in read
            for _ in range(self.answers * self.tries)
        ]
        sampled = said(workshop.model, [put for put, *_ in asked], self._sampling(workshop, read))
        questions = [_question(each.text) for each in sampled]
        puts = [
            Put(prompt(f"answer_{tongue}"), {"passage": spaced(passage.text), "question": question})
            for (_, passage, tongue), question in zip(asked, questions, strict=True)
        ]
        answers = said(workshop.model, puts, Sampling(ANSWERED_TOKENS, seed=workshop.seed))
        for (put, passage, tongue), question, answer in zip(asked, questions, answers, strict=True):
            given = answer.text.strip().split("\n")[0]
            found = located(given, passage.text)
            if found is None:
                row = {"question": question, "context": passage.text, "answer": given}
                yield Made(row, passage.origin, rejected="the answer does not stand in the passage, once")
            else:
                yield Idea(passage, tongue, Span(*found, ""), question, put.prompt.reference)

    def _sampling(self, workshop: Workshop, read: Read) -> Sampling:
        """Draws of this round's own: they follow from the seed and the first passage."""
        first = f"{read[0][0].document.id}:{read[0][0].start}" if read else ""
        return Sampling(ASKED_TOKENS, self.temperature, 0.95, drawn(workshop.seed, first) % 2**31)

    # ── filters ──
    def _filtered(self, ideas: Sequence[Idea], kept: Sequence[Mapping[str, Any]], workshop: Workshop) -> Iterator[Made]:
        pool = [words(row["question"]) for row in kept] + _examples()
        sound: list[Idea] = []
        for idea in {(each.passage, each.span, each.question): each for each in reversed(ideas)}.values():
            problem = _flaw(idea)
            if not problem and likest(words(idea.question), pool, self.alike):
                problem = REPEATS
            if problem:
                yield idea.made(None, problem)
            else:
                sound.append(idea)
        tried = [*zip(sound, trips(workshop.critic, [each.put() for each in sound]), strict=True)]
        lost = _lost([idea for idea, trip in tried if idea.by != RULE and not self._untrue(trip)], workshop)
        for (idea, trip), *others in best_first(tried):
            problem = self._untrue(trip) or lost.get(idea, "")
            if not problem and likest(words(idea.question), pool, self.alike):
                problem = REPEATS
            if not problem:
                pool.append(words(idea.question))
            yield idea.made(trip, problem)
            for idea, trip in others:
                problem = self._untrue(trip) or lost.get(idea, "")
                yield idea.made(trip, problem or "another question for the same answer is better")

    def _untrue(self, trip: Trip) -> str:
        if trip.lead is not None and self.lead is not None and trip.lead < self.lead:
            return "it leads to another stretch of the passage"
        return "it is answered without the passage" if trip.needed < self.needed else ""


def _flaw(idea: Idea) -> str:
    text = idea.passage.text
    start, stop = sentence_of(text, idea.span)
    problem = wording.flaw(idea.question, idea.answer, idea.span.kind, text[start:stop], idea.tongue)
    made_up = not problem and idea.by != RULE and wording.invents(idea.question, text[start:stop])
    if made_up:
        return "it says more than the sentence of its answer"
    others = (text[first:last] for first, last in sentences(text) if first != start)
    elsewhere = not problem and wording.strays(idea.question, text[start:stop], others)
    return "another sentence has more of its words" if elsewhere else problem


def _lost(ideas: Sequence[Idea], workshop: Workshop) -> dict[Idea, str]:
    """Which questions of the model lead it to another answer when it is asked them: a reason for each."""
    puts = [
        Put(prompt(f"answer_{each.tongue}"), {"passage": spaced(each.passage.text), "question": each.question})
        for each in ideas
    ]
    answers = said(workshop.critic, puts, Sampling(ANSWERED_TOKENS, seed=workshop.seed))
    return {
        each: "the model answers it otherwise"
        for each, answer in zip(ideas, answers, strict=True)
        if flattened(answer.text.strip().split("\n")[0]) != flattened(each.answer)
    }


def _question(text: str) -> str:
    """The first line up to its question mark, on one line."""
    line = text.strip().split("\n")[0]
    return spaced(line[: line.find("?") + 1 or None])


def _examples() -> list[list[str]]:
    """The questions that the prompts themselves show."""
    shown = [prompt(f"question_for_span_{tongue}").turns[0].content for tongue in ("en", "it")]
    return [words(line.partition(":")[2]) for text in shown for line in text.split("\n") if line.endswith("?")]
