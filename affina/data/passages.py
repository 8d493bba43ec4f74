"""Questions about a context, as rows: windows of the context that overlap, each with the question before it.

A window's first place stands for *no answer here* (Devlin et al., 2019, §4.3).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from affina.core.errors import Refused
from affina.core.example import Question
from affina.core.kinds import Row
from affina.data.tokens import Vocabulary

START, END = 1, 2
"""What a place says: the answer's first token, its last one; their sum for both."""
OVERLAP = 0.5
"""The share of a window's context that the next one repeats."""

Span = tuple[int, int]


def windows(vocabulary: Vocabulary, question: Question, most: int) -> list[Row]:
    """Rows `id#1`, `id#2` …; every place of the context, and the first, may begin or end the answer."""
    return [row for row, _ in _windows(vocabulary, question, most)]


def passages(vocabulary: Vocabulary, question: Question, most: int) -> list[list[Span]]:
    """Of each row's supervised places, in order, where they stand in the context: characters [start, stop)."""
    return [spans for _, spans in _windows(vocabulary, question, most)]


def _windows(vocabulary: Vocabulary, question: Question, most: int) -> Iterator[tuple[Row, list[Span]]]:
    """Raises Refused where the question leaves no room for its context."""
    whole = vocabulary.pair(question.question, question.context)
    of_context = np.flatnonzero([each == 1 for each in whole.sequence_ids])
    if not len(of_context):
        raise Refused(f"{question.id}: the context has no tokens", instead="take the row out")
    first, last = int(of_context[0]), int(of_context[-1])
    room = most - first - (len(whole.ids) - 1 - last)
    if room < 1:
        raise Refused(
            f"{question.id}: the question takes {first} tokens and leaves none of {most} for its context",
            instead="shorten the question, or raise data.max_tokens as far as the base goes",
        )
    step = max(1, round(room * (1 - OVERLAP)))
    for number, begin in enumerate(range(first, max(last + 2 - room, first + 1) + step - 1, step), 1):
        stop = min(begin + room, last + 1)
        begin = max(first, stop - room)
        keep = [*range(first), *range(begin, stop), *range(last + 1, len(whole.ids))]
        yield _row(f"{question.id}#{number}", whole, keep, range(first, first + stop - begin), question)
        if stop > last:
            return


def _row(name: str, whole: Any, keep: list[int], inside: range, question: Question) -> tuple[Row, list[Span]]:
    places = [0, *inside]
    spans = [(0, 0), *(whole.offsets[keep[place]] for place in inside)]
    weights, said = np.zeros(len(keep), dtype=np.float32), np.zeros(len(keep), dtype=np.int32)
    weights[places] = 1
    begins, ends = _answer(spans, question)
    said[places[begins]] += START
    said[places[ends]] += END
    ids, types = (np.array([of[each] for each in keep], dtype=np.int32) for of in (whole.ids, whole.type_ids))
    return Row(name, ids, weights, said=said, types=types if types.any() else None), spans


def _answer(spans: Sequence[Span], question: Question) -> tuple[int, int]:
    """The numbers of the places in which the first right answer begins and ends; 0 and 0 where it is not whole here."""
    if not question.answers:
        return 0, 0
    text, start = question.answers[0]
    stop = start + len(text)
    touching = [n for n, (a, b) in enumerate(spans) if n and a < stop and b > start]
    if not touching or spans[touching[0]][0] > start or spans[touching[-1]][1] < stop:
        return 0, 0
    return touching[0], touching[-1]
