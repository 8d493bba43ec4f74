"""Raw text with hidden places: how likely a model finds what was there."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.example import Gapped as GappedText
from affina.core.kinds import Asked, Asker, Model, Row
from affina.evaluation.asking import scored
from affina.evaluation.unigram import unigram


class Gapped(Asker):
    """-log p of every hidden token. A text may be several rows: its items are rows."""

    asks: ClassVar = GappedText
    gives: ClassVar = frozenset({"nats", "words"})
    why: ClassVar[str] = "a text with gaps has neither an answer nor a label, only hidden words"
    usual: ClassVar = ("loss", "perplexity")
    without: ClassVar[str] = "the unigram model of the training split"

    def answers(self, model: Model, examples: Sequence[GappedText], asked: Asked) -> Answers:
        # A row too short for a gap has nothing to be asked.
        results = [(row, each) for row, each in scored(model, examples, asked) if row.targets]
        return Answers(
            ids=tuple(row.id for row, _ in results),
            nats_N=np.array([-each.logprobs_S.sum() for _, each in results], dtype=np.float64),
            tokens_N=np.array([row.targets for row, _ in results], dtype=np.float64),
        )

    def counted(self, train: Sequence[Row], test: Sequence[Row], vocabulary: int) -> Answers:
        return unigram(train, [row for row in test if row.targets], vocabulary)
