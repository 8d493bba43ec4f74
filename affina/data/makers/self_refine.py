"""Answers that are criticised and written again (Madaan et al. 2023, self-refine); the best by the critic is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Chat, Message, Text
from affina.core.kinds import Made, Maker, Record, Sampling, Unusable, Workshop
from affina.data.asked import Put, likelihoods, said
from affina.data.likeness import repeats_itself, rouge_l, words
from affina.data.prompt import prompt
from affina.data.recognise import shape_for

TOGETHER = 8
"""Requests in a round."""
FEEDBACK_TOKENS = 96
"""What the critic may say."""
FILTERS = ("ended", "not empty", "not the request", "no circles", "score")


class Request(NamedTuple):
    """What is asked, where it stands, and a right answer where the file has one."""

    id: str
    text: str
    right: str


class Answer(NamedTuple):
    """What a model answered, in which turn of writing (0: the draft), whether it came to an end, and how good it is."""

    text: str
    turn: int
    ended: bool
    score: float


class SelfRefine(Maker):
    """A draft, what a critic says of it, and the draft written again, as often as it gets better. Rows are a prompt
    and a completion."""

    makes: ClassVar[str] = "prompt_completion"

    rewrites: int = Field(2, ge=1)
    """How often an answer is written again, at most: it ends when the score does not rise."""
    judge: Literal["model", "right"] = "model"
    """Who scores: the critic, by log p(yes) - log p(no) of a good answer; or the row's own right answer, by ROUGE-L."""
    least: float | None = None
    """The score an answer must reach: nats of the critic (0: yes is as likely as no), or ROUGE-L. Any when left out."""
    temperature: float = Field(0.0, ge=0)
    """Of drafts and rewritten answers."""
    answer_tokens: int = Field(192, ge=8)
    """What an answer may take; one that does not end within it is never kept."""

    def material(self, records: Iterable[Record]) -> list[Request]:
        """Texts, each a request; or rows of a request and an answer. Raises Refused for others, and for rows without an
        answer where it is the judge."""
        found = _requests([record for record in records if not record.problem])
        if self.judge == "right" and not all(each.right for each in found):
            raise Refused("judge: right needs right answers", why="the rows are requests alone", instead="judge: model")
        return found

    def rounds(self, material: Sequence[Request], workshop: Workshop) -> Iterator[Sequence[Request]]:
        """The requests in order, some at a time."""
        for start in range(0, len(material), TOGETHER):
            yield material[start : start + TOGETHER]

    def round(self, about: Sequence[Request], kept: Sequence[Mapping[str, Any]], workshop: Workshop) -> Iterator[Made]:
        """The best answer to every request, kept or rejected."""
        able: list[Request] = []
        for request in about:
            if problem := workshop.objection(Text(id=request.id, text=request.text)):
                yield Made({"prompt": request.text}, {"request": request.id}, rejected=problem)
            else:
                able.append(request)
        tried = [
            [each] for each in self._written([Put(prompt("draft"), _of(each)) for each in able], able, 0, workshop)
        ]
        going = [*range(len(able))]
        for turn in range(1, self.rewrites + 1):
            going = self._again(able, tried, going, turn, workshop)
        for request, answers in zip(able, tried, strict=True):
            yield self._judged(request, answers)

    def known(self) -> dict[str, str]:
        """The prompts with their versions."""
        return {name: prompt(name).reference for name in ("draft", "feedback", "rewrite", "judge")}

    def _again(
        self, able: Sequence[Request], tried: list[list[Answer]], going: list[int], turn: int, workshop: Workshop
    ) -> list[int]:
        """Writes the last answers of those requests that still get better again; returns which of them do."""
        held = [(able[place], tried[place][-1]) for place in going]
        asked = [Put(prompt("feedback"), {"request": each.text, "answer": last.text}) for each, last in held]
        heard = said(workshop.critic, asked, Sampling(FEEDBACK_TOKENS, seed=workshop.seed))
        puts = [
            Put(prompt("rewrite"), {"request": each.text, "answer": last.text, "feedback": answer.text.strip()})
            for (each, last), answer in zip(held, heard, strict=True)
        ]
        better = []
        written = self._written(puts, [able[place] for place in going], turn, workshop)
        for place, answer in zip(going, written, strict=True):
            if answer.score > tried[place][-1].score:
                better.append(place)
            tried[place].append(answer)
        return better

    def _written(
        self, asked: Sequence[Put], requests: Sequence[Request], turn: int, workshop: Workshop
    ) -> list[Answer]:
        how = Sampling(self.answer_tokens, self.temperature, 0.95, workshop.seed + turn)
        found = [(each.text.strip(), each.stopped) for each in said(workshop.model, asked, how)]
        scores = self._scores([text for text, _ in found], requests, workshop)
        return [Answer(text, turn, ended, score) for (text, ended), score in zip(found, scores, strict=True)]

    def _scores(self, texts: Sequence[str], requests: Sequence[Request], workshop: Workshop) -> list[float]:
        if self.judge == "right":
            return [rouge_l(words(text), words(each.right)) for text, each in zip(texts, requests, strict=True)]
        pairs = [
            (Put(prompt("judge"), {"request": each.text, "answer": text}), verdict)
            for text, each in zip(texts, requests, strict=True)
            for verdict in ("Yes", "No")
        ]
        found = likelihoods(workshop.critic, pairs)
        return [float(yes - no) for yes, no in zip(found[::2], found[1::2], strict=True)]

    def _judged(self, request: Request, answers: Sequence[Answer]) -> Made:
        """The best of those that can be kept at all; the earlier where two are equally good."""
        sound = [each for each in answers if not _flaw(each, request)]
        best = max(sound or answers, key=lambda each: (each.score, -each.turn))
        problem = _flaw(best, request)
        if not problem and self.least is not None and best.score < self.least:
            problem = "no answer is good enough for the critic"
        scores = [round(each.score, 4) for each in answers]
        origin = {"request": request.id, "turn": best.turn, "scores": scores, "prompts": [*self.known().values()]}
        row = {"prompt": request.text, "completion": best.text}
        return Made(row, origin, () if problem else FILTERS[: None if self.least is not None else -1], problem)


def _of(request: Request) -> dict[str, str]:
    return {"request": request.text}


def _flaw(answer: Answer, request: Request) -> str:
    """Why an answer cannot be kept, however good the critic finds it; empty where it can."""
    if not words(answer.text):
        return "the answer is empty"
    if not answer.ended:
        return "the answer did not come to an end"
    if words(answer.text) == words(request.text):
        return "the answer repeats the request"
    return "the answer goes round in circles" if repeats_itself(answer.text) else ""


def _requests(records: Sequence[Record]) -> list[Request]:
    if not records:
        raise Refused("there is no request to answer", why="no record of the files could be read")
    shape, reason = shape_for(records)
    if shape.makes not in (Text, Chat):
        raise Refused("answers are written to requests", why=f"these are other rows: {reason}", instead="give texts")
    found: list[Request] = []
    for record in records:
        try:
            example = shape.example(record)
        except Unusable:
            continue
        turns = example.messages if isinstance(example, Chat) else (Message("user", example.given.strip()),)
        if turns[0].role == "user" and [turn.role for turn in turns[1:]] in ([], ["assistant"]):
            right = turns[1].content if len(turns) > 1 else ""
            found.append(Request(record.where, turns[0].content, right))
    if not found:
        raise Refused("there is no request to answer", why="no row is one question, with or without its answer")
    return found
