"""A question whose answer is a passage of its context, as SQuAD (Rajpurkar et al. 2016) and its variants write it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from affina.core.example import Example, Question
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns

CONTEXT = ("context", "support", "passage", "paragraph", "contesto")
QUESTION = ("question", "query", "domanda")
ANSWERS = ("answers", "answer", "answer_text", "risposta", "risposte")
START = ("answer_start", "start", "answer_begin", "inizio")


class Squad(Shape):
    """One question. Each answer must stand in the context where the data say that it begins; an empty list of answers
    is a question that the context does not answer (Rajpurkar et al. 2018)."""

    makes: ClassVar[type[Example]] = Question

    context: str = "context"
    """The column of the text that is read: a text, or a list of one `{text: …}`."""
    question: str = "question"
    """The column of the question: a text, or `{text: …}`."""
    answers: str = "answers"
    """The column of the right answers: `{text: […], answer_start: […]}`, a list of `{text, answer_start}` or of `{text,
    span: [start, stop]}`, or one text."""
    start: str = "answer_start"
    """Where an answer begins, in characters from 0: the key beside its text; a column where the answer is one text.
    Empty where the data do not say: an answer is then wherever its text stands in the context."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """A context, a question, and answers with the place where they begin."""
        found = columns.usual(records)
        names = [columns.named(found, each) for each in (CONTEXT, QUESTION, ANSWERS)]
        if not all(names):
            return None
        context, question, answers = (each[0] for each in names)
        beside = columns.named(found, START)
        nested = [value for value in found[answers] if isinstance(value, (list, Mapping))]
        keys = {str(key) for value in nested for one in _listed(value) if isinstance(one, Mapping) for key in one}
        start = "answer_start" if "span" in keys else next(iter(columns.named(keys, START) or beside), "")
        if not start or ("text" not in keys and not beside):
            return None
        shape = Squad(context=context, question=question, answers=answers, start=start)
        return shape, f"squad: column '{question}' asks about '{context}', and '{answers}' say where they begin"

    def example(self, record: Record) -> Question:
        """Raises Unusable for an answer that does not stand where it is said to, and for an empty one."""
        context = _text(record, self.context, "context")
        question = _text(record, self.question, "question")
        answers = dict.fromkeys(self._pairs(record) if self.start else self._found(record, context))
        for text, start in answers:
            if start < 0 or context[start : start + len(text)] != text:
                raise Unusable(_misplaced(text, start, context))
        bare = dict.fromkeys((text.strip(), start + len(text) - len(text.lstrip())) for text, start in answers)
        return Question(id=record.where, question=question, context=context, answers=tuple(bare))

    def _pairs(self, record: Record) -> list[tuple[str, int]]:
        given = columns.value(record, self.answers)
        if isinstance(given, Mapping):
            texts, starts = given.get("text"), given.get(self.start)
            if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
                raise Unusable("the answers are not as many texts as beginnings")
            return [_pair(text, start) for text, start in zip(texts, starts, strict=True)]
        if isinstance(given, list):
            return [self._answer(each) for each in given]
        return [_pair(columns.text(record, self.answers, "answer"), columns.value(record, self.start))]

    def _found(self, record: Record, context: str) -> list[tuple[str, int]]:
        """Every place of every answer. Raises Unusable for an answer that stands nowhere."""
        given = columns.value(record, self.answers)
        found = []
        for each in given if isinstance(given, list) else [given]:
            text = columns.plain(each.get("text") if isinstance(each, Mapping) else each, self.answers).strip()
            places = [place.start() for place in re.finditer(re.escape(text), context)] if text else []
            if not places:
                raise Unusable(_misplaced(text, -1, context) if text else "an answer has no text")
            found += [(text, place) for place in places]
        return found

    def _answer(self, given: Any) -> tuple[str, int]:
        if not isinstance(given, Mapping):
            raise Unusable("an answer is not an object with a text and where it begins")
        span = given.get("span")
        start = span[0] if isinstance(span, list) and len(span) == 2 else given.get(self.start)
        text, start = _pair(given.get("text"), start)
        if isinstance(span, list) and len(span) == 2 and span[1] != start + len(text):
            raise Unusable(f"the span {span} of the answer '{text[:40]}' is not as long as its text")
        return text, start


def _pair(text: Any, start: Any) -> tuple[str, int]:
    if isinstance(start, str) and start.strip().isdecimal():
        start = int(start)
    if not isinstance(start, int) or isinstance(start, bool):
        raise Unusable("an answer does not say where it begins")
    if not isinstance(text, str) or not text.strip():
        raise Unusable("an answer has no text")
    return text, start


def _text(record: Record, column: str, what: str) -> str:
    """The text of a column, also inside `{text: …}` or a list of one such."""
    found = columns.value(record, column)
    if isinstance(found, list):
        if len(found) != 1:
            raise Unusable(f"the {what} is {len(found)} texts, and one is read")
        found = found[0]
    if isinstance(found, Mapping):
        found = found.get("text")
    text = columns.plain(found, column)
    if not text.strip():
        raise Unusable(f"the {what} is empty (column '{column}')")
    return text


def _misplaced(text: str, start: int, context: str) -> str:
    found = context.find(text)
    elsewhere = f"it stands at {found}" if found >= 0 else "it stands nowhere in it"
    if start < 0 and found < 0:
        return f"the answer '{text[:40]}' stands nowhere in the context"
    return f"the answer '{text[:40]}' does not stand at {start} of the context: {elsewhere}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
