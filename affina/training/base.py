"""What the base answers without training: its own words where it has them, the majority class where it has none."""

import numpy as np

from affina.core.example import Labelled
from affina.core.kinds import Answers, Sampling, objectives
from affina.core.say import Say
from affina.engine.torch import tuned
from affina.evaluation.answer import answer
from affina.training.session import Session


def base_answers(session: Session, say: Say) -> Answers:
    """The base's answers to the test split. An untrained label head is never asked: a decoder answers in words."""
    if session.material.label_count == 0:
        return answer(session.engine, session.expanded("test"), session.columns, session.sampling, say.progress)
    if not session.material.base_speaks:
        say.line("the base has no words to answer with: the training split's majority class stands for it")
        return majority(session)
    say.line("a label head is new, so the base answers in words: the likeliest label")
    spoken = tuned.base(session.material.source.folder, session.material.renderer, session.plan.computing)
    asked = objectives.build("cross_entropy").expand(session.material.prepared.examples["test"])
    return answer(spoken, asked, frozenset({"nats", "label"}), Sampling(), say.progress)


def base_is(session: Session) -> str:
    """What the base's numbers are of, in a phrase; empty where it is simply the base, asked as the tuned model is."""
    if session.material.label_count == 0:
        return ""
    return "the base answering in words" if session.material.base_speaks else "the majority class"


def majority(session: Session) -> Answers:
    """Answers that always name the commonest training label, with the training split's shares as probabilities."""
    examples = session.material.prepared.examples
    train = [each for each in examples["train"] if isinstance(each, Labelled)]
    test = [each for each in examples["test"] if isinstance(each, Labelled)]
    labels = test[0].labels
    counts = np.bincount([labels.index(each.label) for each in train], minlength=len(labels)) + 1.0
    target = np.array([labels.index(each.label) for each in test], dtype=np.int64)
    return Answers(
        ids=tuple(each.id for each in test),
        nats_N=-np.log(counts / counts.sum())[target],
        tokens_N=np.ones(len(test)),
        labels=labels,
        target_N=target,
        predicted_N=np.full(len(test), int(counts.argmax()), dtype=np.int64),
    )
