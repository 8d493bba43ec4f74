"""Texts with any number of classes, put to a head of labels that decides about each by itself."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers, Floats
from affina.core.example import MultiLabelled as TextWithLabels
from affina.core.kinds import Asked, Asker, Model
from affina.evaluation.asking import known, scored


class MultiLabelled(Asker):
    """The probability of each label, whatever the others. Without a model it is the label's training share."""

    asks: ClassVar = TextWithLabels
    gives: ClassVar = frozenset({"nats", "labels"})
    why: ClassVar[str] = "a text with several labels gives a set of them"
    usual: ClassVar = ("micro_f1", "macro_f1", "loss")
    without: ClassVar[str] = "each label's share of the training rows"

    def answers(self, model: Model, examples: Sequence[TextWithLabels], asked: Asked) -> Answers:
        """Raises Refused, naming the example, when one of its labels is none of the known ones."""
        scores_NL = np.empty((len(examples), len(examples[0].labels)))
        for place, (_, each) in enumerate(scored(model, examples, asked)):
            assert each.scores_L is not None, "a text with labels needs a model with a label head"
            scores_NL[place] = each.scores_L
        return _columns(examples, scores_NL)

    def trivial(self, train: Sequence[TextWithLabels], test: Sequence[TextWithLabels]) -> Answers:
        """Every text is given the same probabilities: a label's training share, one row with and one without added."""
        labels = test[0].labels
        share_L = (np.array([sum(label in each.right for each in train) for label in labels]) + 1) / (len(train) + 2)
        return _columns(test, np.tile(np.log(share_L / (1 - share_L)), (len(test), 1)))


def _columns(examples: Sequence[TextWithLabels], scores_NL: Floats) -> Answers:
    """The nats are those of all yes and no together."""
    labels = examples[0].labels
    for example in examples:
        for right in example.right:
            known(right, labels, example.id)
    truth_NL = np.array([[label in each.right for label in labels] for each in examples], dtype=np.int64)
    nats_NL = np.logaddexp(0, np.where(truth_NL > 0, -scores_NL, scores_NL))
    return Answers(
        ids=tuple(example.id for example in examples),
        nats_N=nats_NL.sum(axis=1),
        tokens_N=np.ones(len(examples)),
        labels=labels,
        chances_NL=np.exp(-np.logaddexp(0, -scores_NL)),
        truth_NL=truth_NL,
    )
