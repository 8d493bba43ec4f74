"""Texts with a number, put to a head that says one."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers, Floats
from affina.core.example import Rated as RatedText
from affina.core.kinds import Asked, Asker, Model
from affina.evaluation.asking import scored


class Rated(Asker):
    """The head's number. Without a model it is the mean of the training split.

    The nats are half the squared error: -log p under a normal distribution of variance 1, up to a constant.
    """

    asks: ClassVar = RatedText
    gives: ClassVar = frozenset({"nats", "number"})
    why: ClassVar[str] = "a text with a number gives a number"
    usual: ClassVar = ("rmse", "spearman", "loss")
    without: ClassVar[str] = "the training rows' mean"

    def answers(self, model: Model, examples: Sequence[RatedText], asked: Asked) -> Answers:
        guess_N = np.empty(len(examples))
        for place, (_, each) in enumerate(scored(model, examples, asked)):
            assert each.scores_L is not None, "a text with a number needs a model with a head for it"
            guess_N[place] = each.scores_L[0]
        return answered(examples, guess_N)

    def trivial(self, train: Sequence[RatedText], test: Sequence[RatedText]) -> Answers:
        """Always the mean of the training numbers: what squared error likes best."""
        return answered(test, np.full(len(test), np.mean([each.value for each in train])))


def answered(examples: Sequence[RatedText], guess_N: Floats) -> Answers:
    value_N = np.array([example.value for example in examples], dtype=np.float64)
    return Answers(
        ids=tuple(example.id for example in examples),
        nats_N=(guess_N - value_N) ** 2 / 2,
        tokens_N=np.ones(len(examples)),
        value_N=value_N,
        guess_N=guess_N,
    )
