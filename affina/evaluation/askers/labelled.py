"""Texts with a class, put to a head of labels."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers, Floats, Ints
from affina.core.example import Labelled as LabelledText
from affina.core.kinds import Asked, Asker, Model
from affina.evaluation.asking import known, scored


class Labelled(Asker):
    """The label of the highest probability. Without a model the commonest label of the training split stands."""

    asks: ClassVar = LabelledText
    gives: ClassVar = frozenset({"nats", "label", "chances"})
    why: ClassVar[str] = "one class gives one label"
    usual: ClassVar = ("accuracy", "f1", "loss")
    without: ClassVar[str] = "the majority class"

    def answers(self, model: Model, examples: Sequence[LabelledText], asked: Asked) -> Answers:
        """Raises Refused, naming the example, when its label is none of the known ones."""
        labels = examples[0].labels
        for example in examples:
            known(example.label, labels, example.id)
        scores_NL = np.empty((len(examples), len(labels)))
        for place, (_, each) in enumerate(scored(model, examples, asked)):
            assert each.scores_L is not None, "a labelled example needs a model with a label head"
            scores_NL[place] = each.scores_L
        largest_N1 = scores_NL.max(axis=1, keepdims=True)
        logs_NL = scores_NL - largest_N1 - np.log(np.exp(scores_NL - largest_N1).sum(axis=1, keepdims=True))
        target_N = np.array([labels.index(example.label) for example in examples], dtype=np.int64)
        return answered(examples, logs_NL, target_N)

    def trivial(self, train: Sequence[LabelledText], test: Sequence[LabelledText]) -> Answers:
        """Always the commonest training label, with the training split's shares as probabilities."""
        labels = test[0].labels
        counts = np.bincount([labels.index(each.label) for each in train], minlength=len(labels)) + 1.0
        target_N = np.array([labels.index(each.label) for each in test], dtype=np.int64)
        return answered(test, np.tile(np.log(counts / counts.sum()), (len(test), 1)), target_N)


def answered(examples: Sequence[LabelledText], logs_NL: Floats, target_N: Ints) -> Answers:
    return Answers(
        ids=tuple(example.id for example in examples),
        nats_N=-logs_NL[np.arange(len(examples)), target_N],
        tokens_N=np.ones(len(examples)),
        labels=examples[0].labels,
        target_N=target_N,
        predicted_N=logs_NL.argmax(axis=1),
        chances_NL=np.exp(logs_NL),
    )
