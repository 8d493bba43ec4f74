"""`evaluate` one model, or `compare` two on the same items: metrics with intervals, paired differences, a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Example, Labelled, MultiLabelled, Tagged
from affina.core.gate import Gate
from affina.core.kinds import Asked, Metric, Sampling
from affina.core.say import Say, Silent
from affina.core.task import Hall
from affina.evaluation.answer import answer, require
from affina.evaluation.asking import unscored
from affina.evaluation.compare import adjusted, aligned
from affina.evaluation.compare import compare as paired
from affina.evaluation.detail import calibration, classes, slices
from affina.evaluation.gate import Standard, judge, rising
from affina.evaluation.latency import latency
from affina.evaluation.measure import measure
from affina.evaluation.on_tasks import Items, kept_by_both, on_tasks, tasks_among
from affina.evaluation.open import Opened, answerable, chosen_metrics, from_file, is_run, open_model, test_split
from affina.evaluation.put import divided, hall, halls, one_split, plain, put, told
from affina.evaluation.regressions import groupings, regressions
from affina.evaluation.task_file import is_task, tasks_of
from affina.evaluation.turns import LIKELIHOODS

SPARE_TOKENS = 8  # generated beyond the longest right answer


@dataclass(frozen=True)
class Wanted:
    """What `evaluate` measures beside the metrics of the items, and how far a file is trusted."""

    by: tuple[str, ...] = ()
    """Columns of files and of banks whose groups get numbers of their own."""
    trust: bool = False
    """Whether a Python file that defines a task may run."""
    harness: tuple[str, ...] = ()
    """Tasks of EleutherAI's evaluation harness, by name."""
    harness_tasks: str | None = None
    """A folder of further tasks in the harness's own format."""


def evaluate(
    model: str,
    on: str | Sequence[str] | None = None,
    root: str | Path = "runs",
    offline: bool = False,
    say: Say | None = None,
    wanted: Wanted = Wanted(),
) -> dict[str, Any]:
    """A model measured on files of data, on tasks, or on a run's own test split.

    On one file of data, or none: {"model", "items", "metrics": {name: {value, low, high, n}}, "classes", "confusion",
    "calibration", "slices", "latency"}, what items have no classes or probabilities for left out. On tasks or several
    files: {"model", "on": {label: the same}}. Raises Refused for an unknown model, an unusable file, or a base without
    `on`.
    """
    say, root = say or Silent(), Path(root)
    if wanted.harness_tasks and not wanted.harness:
        raise Refused(
            "a folder of the harness's tasks is given, and no task of it", instead="name one with --harness TASK"
        )
    opened = open_model(model, root, offline, say)
    named = [on] if isinstance(on, str) else list(on or ())
    if not wanted.harness and len(named) <= 1 and not any(map(is_task, named)):
        return {"model": model, **_of_data(opened, named[0] if named else None, wanted, say)}
    given, found = hall(opened, root, offline, say), dict[str, Any]()
    for each in named:
        if not is_task(each):
            found[each] = _of_data(opened, each, wanted, say)
            continue
        for one in (divided(named_one, wanted.by) for named_one in tasks_of(each, wanted.trust)):
            label = f"{each}: {one.label}" if one.label in found else one.label
            found[label] = told(put(opened, one, given), one, _gate(opened).alpha, given.seed)
    if wanted.harness:
        found |= _by_harness(opened, wanted, given)
    return {"model": model, "on": found}


def _by_harness(opened: Opened, wanted: Wanted, given: Hall) -> dict[str, Any]:
    """Tasks of the evaluation harness. Raises Refused where it is not installed, or the model has no words."""
    if not find_spec("lm_eval"):
        raise Refused("--harness needs lm_eval", instead="pip install 'affina[harness]'")
    if opened.objective.head != "words" or (opened.objective.reads if opened.run else opened.reads) != "past":
        raise Refused(
            f"{opened.name} cannot be put to the harness's tasks",
            why="they need a model of words that goes on from a text",
        )
    from affina.evaluation.harness import Tasks, by_harness

    asked = Tasks(wanted.harness, wanted.harness_tasks, wanted.trust)
    return by_harness(opened.model, asked, _gate(opened).alpha, given.seed)


def _of_data(opened: Opened, on: str | None, wanted: Wanted, say: Say) -> dict[str, Any]:
    """A file of data, or the run's own test split, measured."""
    examples = from_file(opened, on, say, wanted.by) if on else _own(opened, wanted.by)
    asked = opened.objective.expand(examples)
    chosen = chosen_metrics(opened, asked)
    answers = _answers(opened, asked, chosen, say)
    alpha, seed = _gate(opened).alpha, _seed(opened)
    return {
        "items": len(answers),
        "metrics": plain(measure(answers, chosen, alpha, seed)),
        **classes(answers, alpha, seed),
        **calibration(answers, alpha),
        **slices(answers, asked, chosen, wanted.by, (alpha, seed)),
        **latency(opened.model, asked, _put_as(opened, asked, chosen)),
    }


def compare(
    a: str,
    b: str,
    on: str | Sequence[str] | Items | None = None,
    root: str | Path = "runs",
    offline: bool = False,
    say: Say | None = None,
) -> dict[str, Any]:
    """b beside a: {"a", "b", "items", "metrics": {name: {a, b, difference, p_adjusted}}, "slices", "verdict", "suites",
    "not_compared"}; on tasks {"a", "b", "power", "on": what `on_tasks` gives}.

    The items are the file's, or the test split of the one run among the two (of both, when they share data and split).
    `slices` are of the first metric, by column, class and length, those that got worse first. The verdict is on
    replacing a. `suites` are those that both runs kept, where they are compared on their test split.
    """
    say, on = say or Silent(), on if isinstance(on, Items) else Items(on)
    asked_tasks = tasks_among(on)
    first, second = _both(a, b, Path(root), offline, say)
    judged = second if second.run else first
    if asked_tasks:
        given = halls(first, second, Path(root), offline, say)
        found = on_tasks((first, second), asked_tasks, given, _gate(judged))
        return {"a": a, "b": b, "power": _gate(judged).power, "on": found}
    examples = from_file(judged, on.named[0], say, on.by) if on.named else _shared(first, second, on.by)
    asked = {id(each): _put(each, judged, examples) for each in (first, second)}
    chosen = chosen_metrics(judged, asked[id(judged)], first if judged is second else second)
    both = [_answers(each, asked[id(each)], chosen, say) for each in (first, second)]
    kept = ({}, []) if on.named else kept_by_both(first, second, _gate(judged), _seed(judged))
    return {"a": a, "b": b, "items": len(both[0]), **_beside(both, (a, b), chosen, judged)} | {
        "slices": _slices(both, chosen[0], examples, on.by, judged),
        "suites": kept[0],
        "not_compared": kept[1],
    }


def _beside(both: list[Answers], names: tuple[str, str], chosen: list[Metric], judged: Opened) -> dict[str, Any]:
    """{"metrics", "verdict"} of two models' answers, in the order of `names`."""
    gate, seed = _gate(judged), _seed(judged)
    differences = paired(both[0], both[1], chosen, gate.alpha, gate.power, seed)
    values, corrected = [measure(each, chosen, gate.alpha, seed) for each in both], adjusted(differences)
    metrics = {
        name: {
            "a": values[0][name].value,
            "b": values[1][name].value,
            "difference": found.as_dict(),
            "p_adjusted": corrected[name],
        }
        for name, found in differences.items()
    }
    usual = gate.model_copy(update={"rules": {}})
    verdict = judge(usual, {"base": Standard(names[0], differences)}, rising(chosen))
    return {"metrics": metrics, "power": gate.power, "verdict": verdict.as_dict()}


def _slices(
    both: list[Answers], metric: Metric, examples: list[Example], by: tuple[str, ...], judged: Opened
) -> list[dict[str, Any]]:
    a, b = aligned(both[0], both[1])
    groups = groupings(examples, a, by)
    return [each.as_dict() for each in regressions(a, b, metric, groups, _gate(judged), _seed(judged))]


def _both(a: str, b: str, root: Path, offline: bool, say: Say) -> tuple[Opened, Opened]:
    """The two models; a base beside a run is asked as in that run, so the run is opened first."""
    if is_run(a, root) and not is_run(b, root):
        first = open_model(a, root, offline, say)
        return first, open_model(b, root, offline, say, beside=first)
    second = open_model(b, root, offline, say)
    return open_model(a, root, offline, say, beside=second), second


def answers_of(opened: Opened, examples: Sequence[Example], chosen: list[Metric], say: Say) -> Answers:
    """What a trained model answers to another run's items, asked as it was trained to be. Raises Refused where it
    cannot answer them."""
    own = [_known(each, opened) for each in examples]
    answerable(opened, opened.objective, own)
    return _answers(opened, opened.objective.expand(own), chosen, say)


def _answers(opened: Opened, asked: list[Example], chosen: list[Metric], say: Say) -> Answers:
    require(chosen, asked)
    if (why := unscored(opened.model)) and not any(metric.reads in LIKELIHOODS for metric in chosen):
        say.line(f"{opened.name} is measured by what it generates: {why}")
    how = _put_as(opened, asked, chosen)
    return answer(opened.model, asked, how.columns, how.how, say.progress)


def _put_as(opened: Opened, asked: list[Example], chosen: list[Metric]) -> Asked:
    """What the metrics read, and room to generate a little more than the longest right answer."""
    targets = [row.targets for row in opened.model.renderer.rows(asked)] if asked else [0]
    return Asked(frozenset(metric.reads for metric in chosen), Sampling(max_tokens=max(targets) + SPARE_TOKENS))


def _own(opened: Opened, keep: Sequence[str] = ()) -> list[Example]:
    if opened.run is None:
        raise Refused(f"{opened.name} is a base: it has no test split", instead="give the items with --on FILE")
    return test_split(opened, keep)


def _shared(first: Opened, second: Opened, keep: Sequence[str]) -> list[Example]:
    """The test split that is unseen by both. Raises Refused when two runs were not trained on the same split."""
    runs = [each for each in (first, second) if each.run]
    if not runs:
        raise Refused(
            "neither model is a run: there is no test split", instead="give a file of items, or tasks, with --on"
        )
    one_split(first, second)
    return _own(runs[0], keep)


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
