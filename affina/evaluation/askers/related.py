"""Texts that belong together, put to a model of vectors: how near each is to its own among all others."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers, Floats
from affina.core.example import Related as RelatedTexts
from affina.core.kinds import Asked, Asker, Model
from affina.evaluation.asking import scored

TEMPERATURE = 0.05
"""What cosines are divided by (SimCSE, Gao et al., 2021)."""
ANCHORS = 512
"""Anchors compared at once: bounds memory, changes no number."""


class Related(Asker):
    """The place of each anchor's positive among the positives of all examples asked together, by cosine.

    Of equal cosines the right one comes last, so that equal vectors earn nothing; a candidate with the positive's own
    text is no rival. The nats are the cross-entropy of the right candidate at temperature 0.05; they grow with the
    number of candidates. An example's own negatives are not among them.
    """

    asks: ClassVar = RelatedTexts
    gives: ClassVar = frozenset({"nats", "rank"})
    why: ClassVar[str] = "texts that belong together give a place among candidates"
    usual: ClassVar = ("mrr", "recall_at", "loss")

    def answers(self, model: Model, examples: Sequence[RelatedTexts], asked: Asked) -> Answers:
        anchors, positives = list[Floats](), list[Floats]()
        for row, each in scored(model, examples, asked):
            if row.label in (0, 1):
                assert each.scores_L is not None, "related texts need a model of vectors"
                (anchors, positives)[row.label].append(each.scores_L)
        texts = np.array([example.positive for example in examples], dtype=np.str_)
        near_ND, candidates_ND = _unit(anchors), _unit(positives)
        ranks, nats = [], []
        for start in range(0, len(examples), ANCHORS):
            own = np.arange(start, min(start + ANCHORS, len(examples)))
            cosines_AN = near_ND[own] @ candidates_ND.T
            right_A1 = cosines_AN[np.arange(len(own)), own][:, None]
            rivals_AN = texts[own][:, None] != texts[None]
            ranks.append(1 + (rivals_AN & (cosines_AN >= right_A1)).sum(axis=1))
            above_AN = np.where(rivals_AN, np.exp((cosines_AN - right_A1) / TEMPERATURE), 0.0)
            nats.append(np.log1p(above_AN.sum(axis=1)))
        return Answers(
            ids=tuple(example.id for example in examples),
            nats_N=np.concatenate(nats),
            tokens_N=np.ones(len(examples)),
            rank_N=np.concatenate(ranks),
        )


def _unit(vectors: Sequence[Floats]) -> Floats:
    vectors_ND = np.stack(vectors)
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.asarray(vectors_ND / np.maximum(lengths_N1, np.finfo(np.float64).tiny))
