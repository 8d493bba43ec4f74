"""Questions whose answer is a passage of a text, put to a head that marks where it begins and ends."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers, Floats
from affina.core.example import Question as PassageQuestion
from affina.core.kinds import Asked, Asker, Locating, Model, Row, Scored
from affina.data.passages import END, START
from affina.evaluation.asking import scored
from affina.evaluation.sentences import likeliest_sentence

LONGEST = 30
"""Tokens that an answer goes on for after its first, as in BERT's script for SQuAD."""
Places = Sequence[tuple[int, int]]
"""Where the text of each supervised place of a row begins and ends in the context; the first place is no answer."""


class Question(Asker):
    """The passage of the highest sum of start and end scores over all rows of the question (Devlin et al., 2019).

    Where every question has an answer, no answer is never given; else it is given where its own score, the lowest of
    all rows, is above every passage's. The nats are those of the first right answer's start and end in every row, or
    of no answer where the row does not hold it.
    """

    asks: ClassVar = PassageQuestion
    gives: ClassVar = frozenset({"nats", "text"})
    why: ClassVar[str] = "a question about a text gives a passage of it"
    usual: ClassVar = ("squad_f1", "squad_exact", "loss")
    without: ClassVar[str] = "the sentence that shares most words with the question"

    def answers(self, model: Model, examples: Sequence[PassageQuestion], asked: Asked) -> Answers:
        assert isinstance(model.renderer, Locating), "a question needs a renderer that finds passages"
        results: Iterator[tuple[Row, Scored]] = scored(model, examples, asked)
        answered = all(example.answers for example in examples)
        said, nats, tokens = [], [], []
        for example in examples:
            places = model.renderer.passages(example)
            windows = list(islice(results, len(places)))
            scores = [each.places_SL for _, each in windows if each.places_SL is not None]
            assert len(scores) == len(places), "a question needs a model with a head of passages"
            said.append(_said(example.context, places, scores, answered))
            nats.append(sum(_nats(row, own) for (row, _), own in zip(windows, scores, strict=True)))
            tokens.append(2 * len(places))
        return _columns(examples, said, nats, tokens)

    def trivial(self, train: Sequence[PassageQuestion], test: Sequence[PassageQuestion]) -> Answers:
        """A whole sentence; the nats are those of a start and an end drawn among the context's words."""
        said = [likeliest_sentence(each.question, each.context) for each in test]
        nats = [2 * float(np.log(len(each.context.split()) + 1)) for each in test]
        return _columns(test, said, nats, [2] * len(test))


def _columns(
    examples: Sequence[PassageQuestion], said: Sequence[str], nats: Sequence[float], tokens: Sequence[int]
) -> Answers:
    references = tuple(tuple(text for text, _ in example.answers) or ("",) for example in examples)
    return Answers(
        ids=tuple(example.id for example in examples),
        nats_N=np.array(nats, dtype=np.float64),
        tokens_N=np.array(tokens, dtype=np.float64),
        expected=tuple(right[0] for right in references),
        said=tuple(said),
        references=references,
    )


def _said(context: str, places: Sequence[Places], scores: Sequence[Floats], answered: bool) -> str:
    """The text of the best passage over a question's rows; empty for no answer."""
    best, found = -np.inf, ""
    for row, scores_S2 in zip(places, scores, strict=True):
        if len(row) > 1:
            score, start, stop = best_span(scores_S2[1:])
            if score > best:
                best, found = score, context[row[1 + start][0] : row[1 + stop][1]].strip()
    nothing = min(float(scores_S2[0].sum()) for scores_S2 in scores)
    return found if answered or best >= nothing else ""


def best_span(scores_S2: Floats) -> tuple[float, int, int]:
    """The highest start + end score with the end at the start or up to `LONGEST` places after it, and both places."""
    size = len(scores_S2)
    ends_S = np.concatenate([scores_S2[:, 1], np.full(LONGEST, -np.inf)])
    ends_SK = np.lib.stride_tricks.sliding_window_view(ends_S, LONGEST + 1)[:size]
    sums_SK = scores_S2[:, :1] + ends_SK
    start, further = divmod(int(sums_SK.argmax()), LONGEST + 1)
    return float(sums_SK[start, further]), start, start + further


def _nats(row: Row, scores_S2: Floats) -> float:
    """-log p of the right start and end in one row."""
    assert row.said is not None, "the row of a question says where the answer is"
    said_S = row.said[row.weights > 0]
    largest_2 = scores_S2.max(axis=0)
    logs_S2 = scores_S2 - largest_2 - np.log(np.exp(scores_S2 - largest_2).sum(axis=0))
    return -float(logs_S2[(said_S & START) > 0, 0].sum() + logs_S2[(said_S & END) > 0, 1].sum())
