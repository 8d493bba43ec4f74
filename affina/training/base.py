"""What the base answers without training: its own words where it has them, the majority class where it has none."""

import hashlib
import time
from dataclasses import asdict

import numpy as np

from affina.core.example import Labelled
from affina.core.kinds import Answers, Sampling, objectives
from affina.core.say import Say
from affina.engine.torch import tuned
from affina.evaluation.answer import answer
from affina.training.kept import kept
from affina.training.plan import digest
from affina.training.samples import spoken
from affina.training.session import Session

KEY, FILES = "base.key.json", ("samples.base.json", "base.json")  # base.json last: where it is, both are


def measure_base(session: Session, say: Say) -> None:
    """Keeps the base's answers and samples before anything moves; on resume, or where a run beside this one asked the
    same base the same, they are already there."""
    run, key = session.run, base_key(session)
    if run.read("base.json") is not None:
        return
    if found := kept(run, key, KEY, *FILES):
        say.line(f"base: measured before, in run '{found[0].name}', on these rows with this code and versions")
        held = found[1][1:]
        seconds = 0.0
    else:
        began = time.perf_counter()
        say.line("measuring the base as it answers without training")
        answers = base_answers(session, say)
        held = [spoken(session, session.engine), answers.as_dict()]
        seconds = round(time.perf_counter() - began, 3)
    for name, content in zip(FILES, held, strict=True):
        run.write(name, content)
    run.write(KEY, {"key": key, "seconds": seconds})


def base_key(session: Session) -> str:
    """The same where the base would give the same answers, to the bit: the same base, tuning before it moves, rows,
    questions, computing, code and versions. Nothing of how long or how fast to learn is in it."""
    lock, material = session.plan.lock, session.material
    rows = hashlib.sha256()
    for row in material.by_split["test"]:
        rows.update(row.tokens.tobytes() + row.weights.tobytes())
    shown = [repr(each) for each in material.prepared.examples["test"]]
    voted = [] if material.base_speaks else [each.target for each in material.prepared.examples["train"]]
    asked = [sorted(session.columns), asdict(session.sampling), material.label_count, session.recipe.train.seed]
    whose = [lock["base"]["digest"], lock["recipe"]["tuning"], lock["recipe"]["objective"]]
    where = {name: value for name, value in lock["machine"].items() if name != "folder"}
    return digest([whose, rows.hexdigest(), shown, voted, asked, where, lock["versions"]])


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
