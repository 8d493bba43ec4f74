"""`evaluate` one model, or `compare` two on the same items: metrics with intervals, paired differences, a verdict."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Example, Labelled, MultiLabelled, Tagged
from affina.core.kinds import Metric, Sampling
from affina.core.recipe import Gate
from affina.core.say import Say, Silent
from affina.evaluation.answer import answer, require
from affina.evaluation.asking import unscored
from affina.evaluation.compare import compare as paired
from affina.evaluation.gate import judge
from affina.evaluation.measure import measure
from affina.evaluation.open import Opened, answerable, chosen_metrics, from_file, is_run, open_model, test_split
from affina.evaluation.turns import LIKELIHOODS

SPARE_TOKENS = 8  # generated beyond the longest right answer


def evaluate(
    model: str, on: str | None = None, root: str | Path = "runs", offline: bool = False, say: Say | None = None
) -> dict[str, Any]:
    """{"model", "items", "metrics": {name: {value, low, high, n}}} on a file, or on a run's own test split.

    Raises Refused for an unknown model, an unusable file, or a base without `on`.
    """
    say = say or Silent()
    opened = open_model(model, Path(root), offline, say)
    examples = from_file(opened, on, say) if on else _own(opened)
    asked = opened.objective.expand(examples)
    chosen = chosen_metrics(opened, asked)
    answers = _answers(opened, asked, chosen, say)
    measured = measure(answers, chosen, _gate(opened).alpha, _seed(opened))
    metrics = {name: estimate.as_dict() for name, estimate in measured.items()}
    return {"model": model, "items": len(answers), "metrics": metrics}


def compare(
    a: str, b: str, on: str | None = None, root: str | Path = "runs", offline: bool = False, say: Say | None = None
) -> dict[str, Any]:
    """b beside a: {"a", "b", "items", "metrics": {name: {a, b, difference}}, "verdict"}; the verdict is on replacing a.

    The items are the file's, or the test split of the one run among the two (of both, when they share data and split).
    """
    say = say or Silent()
    first, second = _both(a, b, Path(root), offline, say)
    judged = second if second.run else first
    examples = from_file(judged, on, say) if on else _shared(first, second)
    asked = {id(each): _put(each, judged, examples) for each in (first, second)}
    chosen = chosen_metrics(judged, asked[id(judged)], first if judged is second else second)
    both = [_answers(each, asked[id(each)], chosen, say) for each in (first, second)]
    gate, seed = _gate(judged), _seed(judged)
    differences = paired(both[0], both[1], chosen, gate.alpha, gate.power, seed)
    values = [measure(each, chosen, gate.alpha, seed) for each in both]
    metrics = {
        name: {"a": values[0][name].value, "b": values[1][name].value, "difference": found.as_dict()}
        for name, found in differences.items()
    }
    verdict = judge(gate.model_copy(update={"rules": {}}), differences, chosen).as_dict()
    return {"a": a, "b": b, "items": len(both[0]), "metrics": metrics, "verdict": verdict}


def _both(a: str, b: str, root: Path, offline: bool, say: Say) -> tuple[Opened, Opened]:
    """The two models; a base beside a run is asked as in that run, so the run is opened first."""
    if is_run(a, root) and not is_run(b, root):
        first = open_model(a, root, offline, say)
        return first, open_model(b, root, offline, say, beside=first)
    second = open_model(b, root, offline, say)
    return open_model(a, root, offline, say, beside=second), second


def _answers(opened: Opened, asked: list[Example], chosen: list[Metric], say: Say) -> Answers:
    require(chosen, asked)
    if (why := unscored(opened.model)) and not any(metric.reads in LIKELIHOODS for metric in chosen):
        say.line(f"{opened.name} is measured by what it generates: {why}")
    targets = [row.targets for row in opened.model.renderer.rows(asked)] if asked else [0]
    how = Sampling(max_tokens=max(targets) + SPARE_TOKENS)
    return answer(opened.model, asked, frozenset(metric.reads for metric in chosen), how, say.progress)


def _own(opened: Opened) -> list[Example]:
    if opened.run is None:
        raise Refused(f"{opened.name} is a base: it has no test split", instead="give the items with --on FILE")
    return test_split(opened)


def _shared(first: Opened, second: Opened) -> list[Example]:
    """The test split that is unseen by both. Raises Refused when two runs were not trained on the same split."""
    runs = [each for each in (first, second) if each.run]
    if not runs:
        raise Refused("neither model is a run: there is no test split", instead="give the items with --on FILE")
    keys = [(each.lock["data"], each.lock["recipe"]["data"], each.lock["recipe"]["train"]["seed"]) for each in runs]
    if any(key != keys[0] for key in keys):
        raise Refused(
            "the two runs were not trained on the same data and split",
            why="the test rows of one may be training rows of the other",
            instead="give items neither has seen with --on FILE",
        )
    return _own(runs[0])


def _put(opened: Opened, judged: Opened, examples: list[Example]) -> list[Example]:
    """The items as this model is asked: a base is asked as the run was, or in words where the run has a label head."""
    same_head = opened.run is None and judged.objective.head == "words"
    objective = judged.objective if same_head else opened.objective
    own = [_known(each, opened) for each in examples]
    answerable(opened, objective, own)
    return objective.expand(own)


def _known(example: Example, opened: Opened) -> Example:
    if opened.labels and isinstance(example, Labelled | MultiLabelled | Tagged):
        return replace(example, labels=opened.labels)
    return example


def _gate(opened: Opened) -> Gate:
    return opened.recipe.evaluate.gate if opened.recipe else Gate()


def _seed(opened: Opened) -> int:
    """What the bootstrap draws by: a run's own seed, so that its numbers are those it was judged by."""
    return opened.recipe.train.seed if opened.recipe else 0
