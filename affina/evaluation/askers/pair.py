"""Two answers to one conversation, the first preferred, put to a head that scores an answer."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers, Floats
from affina.core.example import Pair as Preference
from affina.core.kinds import Asked, Asker, Model
from affina.evaluation.asking import scored


class Pair(Asker):
    """By how much the preferred answer scores higher. The nats are Bradley and Terry's (1952): -log σ(margin)."""

    asks: ClassVar = Preference
    gives: ClassVar = frozenset({"nats", "margin"})
    why: ClassVar[str] = "two answers give a margin between them"
    usual: ClassVar = ("pair_accuracy", "loss")
    without: ClassVar[str] = "the answers' lengths alone"

    def answers(self, model: Model, examples: Sequence[Preference], asked: Asked) -> Answers:
        scores = []
        for _, each in scored(model, examples, asked):
            assert each.scores_L is not None, "two answers need a model with a head that scores them"
            scores.append(each.scores_L[0])
        both_N2 = np.array(scores, dtype=np.float64).reshape(len(examples), 2)
        return _columns(examples, both_N2[:, 0] - both_N2[:, 1])

    def trivial(self, train: Sequence[Preference], test: Sequence[Preference]) -> Answers:
        """The longer answer wins, as surely as in the training split; the shorter where that is commoner there.

        What is learnt is one number, the log-odds that the longer wins, with one win each way added.
        """
        longer = [_longer(each) for each in train]
        odds = np.log((longer.count(1) + 1) / (longer.count(-1) + 1))
        return _columns(test, odds * np.array([_longer(each) for each in test], dtype=np.float64))


def _longer(pair: Preference) -> int:
    """1 where the preferred answer is the longer, -1 where it is the shorter, 0 for equal lengths."""
    return int(np.sign(len(pair.chosen) - len(pair.rejected)))


def _columns(examples: Sequence[Preference], margin_N: Floats) -> Answers:
    return Answers(
        ids=tuple(example.id for example in examples),
        nats_N=np.logaddexp(0, -margin_N),
        tokens_N=np.ones(len(examples)),
        margin_N=margin_N,
    )
