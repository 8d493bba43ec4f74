"""Raw text: how likely a model finds it, word by word."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.example import Chat, Example
from affina.core.example import Text as RawText
from affina.core.kinds import Asked, Asker, Model, Row
from affina.evaluation.asking import scored
from affina.evaluation.unigram import unigram


class Text(Asker):
    """-log p of every target. A text may be several rows: its items are rows."""

    asks: ClassVar = RawText
    gives: ClassVar = frozenset({"nats", "words"})
    why: ClassVar[str] = "raw text has neither an answer nor a label, only words"
    usual: ClassVar = ("loss", "perplexity")
    without: ClassVar[str] = "the unigram model of the training split"

    @classmethod
    def fits(cls, examples: Sequence[Example]) -> bool:
        return {type(each) for each in examples} in ({RawText}, {RawText, Chat})

    def answers(self, model: Model, examples: Sequence[Example], asked: Asked) -> Answers:
        results = list(scored(model, examples, asked))
        return Answers(
            ids=tuple(row.id for row, _ in results),
            nats_N=np.array([-each.logprobs_S.sum() for _, each in results], dtype=np.float64),
            tokens_N=np.array([row.targets for row, _ in results], dtype=np.float64),
        )

    def counted(self, train: Sequence[Row], test: Sequence[Row], vocabulary: int) -> Answers:
        return unigram(train, test, vocabulary)
