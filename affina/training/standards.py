"""What the tuned model is held against: the base, and where the gate names them the parent and the live release."""

from collections.abc import Callable

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.gate import Against
from affina.core.say import Say
from affina.core.task import Tested
from affina.evaluation.before_after import judgeable
from affina.evaluation.compare import Difference, compare
from affina.evaluation.evaluate import answers_of
from affina.evaluation.gate import Standard
from affina.evaluation.open import Opened, open_model, run_of
from affina.evaluation.suite import BASE, TUNED
from affina.store.place import Place
from affina.training.session import Session
from affina.training.suites import hall, tested_in


def standards(session: Session, answers: tuple[Answers, Answers], say: Say) -> dict[str, Standard]:
    """By what a rule may name, each asked the same test items and suites; `answers` are the base's and the tuned one's.

    One that is absent, or cannot answer these items, is stood for by the base, and its sentence says why.
    """
    base, tuned = answers
    found = {"base": Standard("the base", _differences(session, base, tuned, tested_in(session, BASE)))}
    rules = session.recipe.evaluate.gate.judged(session.material.metrics[0].name)
    openers: dict[Against, Callable[[], Opened | None]] = {
        "parent": lambda: _parent(session, say),
        "live": lambda: _live(session, say),
    }
    for against in sorted({rule.against for rule in rules} - {"base"}):
        found[against] = _asked(session, against, openers[against], (found["base"], tuned), say)
    return found


def _asked(
    session: Session, against: Against, opener: Callable[[], Opened | None], beside: tuple[Standard, Answers], say: Say
) -> Standard:
    base, tuned = beside
    try:
        opened = opener()
        if opened is None:
            return Standard(f"the base, in the place of {against} ({ABSENT[against]})", base.differences)
        say.line(f"measuring {opened.name}, the {against} model that the gate names, on the test split")
        examples = session.material.prepared.examples["test"]
        answers = answers_of(opened, examples, session.material.metrics, say)
        tested = _tested(session, against, opened, say)
        differences = _differences(session, answers, tuned, tested)
    except Refused as error:
        return Standard(f"the base, in the place of {against} ({error})", base.differences)
    session.run.write(f"{against}.json", answers.as_dict())
    return Standard(f"{opened.name} ({against})", differences)


ABSENT: dict[Against, str] = {
    "parent": "model.base names no run",
    "live": "no release of the recipe's name is live",
}
"""Why there is none, in a clause."""


def _parent(session: Session, say: Say) -> Opened | None:
    root = session.run.folder.parent
    reference = run_of(session.plan.lock["base"]["reference"], root)
    return None if reference is None else open_model(reference, root, False, say)


def _live(session: Session, say: Say) -> Opened | None:
    """The live release of the recipe's name."""
    root = session.run.folder.parent
    place = Place(root)
    found = place.open().live(session.recipe.name) if place.begun else None
    return None if found is None else open_model(found.name, root, False, say)


def _tested(session: Session, against: Against, opened: Opened, say: Say) -> dict[str, Tested]:
    """What this model does with the suites that a rule against it names."""
    place, suites = hall(session, say), session.material.suites
    rules = session.recipe.evaluate.gate.judged("")
    named = {rule.metric.partition(".")[0] for rule in rules if rule.against == against and "." in rule.metric}
    return {name: suites[name].ask(opened.model, place) for name in sorted(named)}


def _differences(session: Session, other: Answers, tuned: Answers, tested: dict[str, Tested]) -> dict[str, Difference]:
    gate, seed = session.recipe.evaluate.gate, session.recipe.train.seed
    of_metrics = compare(other, tuned, session.material.metrics, gate.alpha, gate.power, seed)
    return of_metrics | judgeable(session.material.suites, tested, tested_in(session, TUNED), gate, seed)
