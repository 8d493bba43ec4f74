"""What the base answers without training: its own words where it has them, else what needs no model."""

import hashlib
import time
from dataclasses import asdict

from affina.core.answers import Answers
from affina.core.kinds import Model, Sampling, objectives
from affina.core.say import Say
from affina.engine.torch import tuned
from affina.evaluation.answer import answer, asker
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
        asked = session.engine if type(session.recipe.tuning).starts_as_base else untouched(session)
        answers = base_answers(session, asked, say)
        held = [spoken(session, asked), answers.as_dict()]
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
    train = material.prepared.examples["train"]
    voted = [] if material.trivial is None else [each.target or each.given for each in train]
    asked = [sorted(session.columns), asdict(session.sampling), asdict(material.ending), session.recipe.train.seed]
    whose = [lock["base"]["digest"], lock["recipe"]["tuning"], lock["recipe"]["objective"]]
    where = {name: value for name, value in lock["machine"].items() if name != "folder"}
    return digest([whose, rows.hexdigest(), shown, voted, asked, where, lock["versions"]])


def untouched(session: Session) -> Model:
    """The base itself, loaded once more: for tunings of which even a fresh one changes what it answers."""
    material = session.material
    return tuned.base(material.source.folder, material.renderer, session.plan.computing, material.ending)


def base_answers(session: Session, base: Model, say: Say) -> Answers:
    """The base's answers to the test split. An untrained head is never asked: a decoder names a class in words, and
    for others what needs no model stands."""
    material = session.material
    if material.base_speaks:
        say.line("a label head is new, so the base answers in words: the likeliest label")
        spoken = tuned.base(material.source.folder, material.renderer, session.plan.computing)
        asked = objectives.build("cross_entropy").expand(material.prepared.examples["test"])
        return answer(spoken, asked, frozenset({"nats", "label"}), Sampling(), say.progress)
    if material.trivial is not None:
        new = "the head is new" if session.recipe.model.scratch is None else "the weights are random"
        say.line(f"{new}: {asker(session.expanded('test')).without} stands for the base")
        return material.trivial
    return answer(base, session.expanded("test"), session.columns, session.sampling, say.progress)


def base_is(session: Session) -> str:
    """What the base's numbers are of, in a phrase; empty where it is simply the base, asked as the tuned model is."""
    if session.material.base_speaks:
        return "the base answering in words"
    return asker(session.expanded("test")).without if session.material.trivial is not None else ""
