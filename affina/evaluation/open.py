"""A model reference becomes a Model: a run's best checkpoint, or any base (alias, folder, GGUF file, hub name, package)."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from affina.core.errors import Refused, nearest
from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Metric, Model, Objective, metrics, objectives
from affina.core.recipe import Data, Recipe
from affina.core.run import Run
from affina.core.say import Say
from affina.data.prepare import Prepared, prepare, read_examples
from affina.data.rows import Renderer
from affina.engine.source import ALIASES, find
from affina.evaluation.answer import usual


@dataclass(frozen=True)
class Opened:
    """A model ready to be asked; `run` is where it was trained, None for a base."""

    name: str
    model: Model
    run: Run | None

    @cached_property
    def lock(self) -> dict[str, Any]:
        found: dict[str, Any] = self.run.read("lock.json") if self.run else {}
        return found

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe as it was trained, every setting; None for a base."""
        return recipe_of(self.run) if self.run else None

    @property
    def objective(self) -> Objective:
        """How examples are put to this model."""
        return self.recipe.objective if self.recipe else objectives.build("cross_entropy")

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.lock.get("labels", ()))

    def ask(self, text: str, before: tuple[Message, ...] = ()) -> Example:
        """A question put the way this model was trained to hear it: as a text to label, to go on from, or to answer."""
        if self.labels:
            return self.objective.expand([Labelled(id="asked", text=text, label="", labels=self.labels)])[0]
        if self.lock.get("task") == "text":
            return Text(id="asked", text=text)
        return Chat(id="asked", messages=(*before, Message("user", text)))


def open_model(reference: str, root: Path, offline: bool, say: Say) -> Opened:
    """Raises Refused for an unknown reference (with the nearest run or alias) or a run without a checkpoint."""
    from affina.engine.torch import tuned
    from affina.engine.torch.machine import chosen_precision

    run = _run(reference, root)
    recipe, lock = (recipe_of(run), run.read("lock.json")) if run else (None, {})
    source = find(lock["base"]["reference"] if run else reference, offline, say.progress)
    data = recipe.data if recipe else Data(read=["-"])
    renderer = Renderer.open(source.folder, data.template, data.max_tokens)
    if run is None or recipe is None:
        return Opened(reference, tuned.base(source.folder, renderer, chosen_precision("auto")), None)
    if source.digest != lock["base"]["digest"]:
        raise Refused(f"the base of run '{run.name}' has changed", why=f"{source.folder} holds other weights than then")
    labels = len(lock["labels"]) if recipe.objective.head == "labels" else 0
    trained = (recipe.tuning, _best(run, recipe))
    model = tuned.reopen(source.folder, renderer, lock["machine"]["precision"], labels, trained)
    return Opened(run.name, model, run)


def recipe_of(run: Run) -> Recipe:
    """The recipe of a run's lock, with the folder its paths start from."""
    lock = run.read("lock.json")
    return Recipe.build(lock["recipe"], Path(lock["machine"]["folder"]))


def test_split(opened: Opened) -> Prepared:
    """The run's own data, split as it was. Raises Refused when the files are not what they were."""
    assert opened.run is not None and opened.recipe is not None
    prepared = prepare(opened.recipe, _objection(opened))
    if prepared.files != opened.lock["data"]:
        raise Refused(f"the data of run '{opened.name}' has changed since", instead="give the items with --on FILE")
    return prepared


def from_file(opened: Opened, path: str) -> list[Example]:
    """A file's usable rows, read with the run's own shape where there is one, under the labels it was trained with."""
    data = (opened.recipe.data if opened.recipe else Data(read=[path])).model_copy(update={"read": [path]})
    try:
        prepared = read_examples(data, Path(), _objection(opened))
    except Refused:
        if data.shape is None:
            raise
        prepared = read_examples(data.model_copy(update={"shape": None}), Path(), _objection(opened))
    known = opened.labels
    return [
        replace(each, labels=known) if known and isinstance(each, Labelled) else each
        for each in prepared.examples["all"]
    ]


def chosen_metrics(opened: Opened, examples: list[Example]) -> list[Metric]:
    """The recipe's metrics, or the usual ones of the task."""
    if opened.recipe and opened.recipe.evaluate.metrics:
        return list(opened.recipe.evaluate.metrics)
    return [metrics.build(name) for name in usual(examples)]


def _objection(opened: Opened) -> Any:
    renderer: Any = opened.model.renderer
    return renderer.objection


def _run(reference: str, root: Path) -> Run | None:
    """The run of that name or path; None when the reference can only be a base."""
    for folder in (root / reference, Path(reference)):
        if (folder / "lock.json").is_file():
            return Run(folder)
    known = [run.name for run in Run.all(root)]
    if reference not in ALIASES and not Path(reference).exists() and not any(sign in reference for sign in "/:."):
        raise Refused(f"no run and no base is called '{reference}'", instead=nearest(reference, [*known, *ALIASES]))
    return None


def _best(run: Run, recipe: Recipe) -> Path:
    monitor = recipe.evaluate.monitor
    best = run.best(monitor.name, monitor.higher_is_better)
    if best is None or not run.checkpoint(best[0]).is_dir():
        raise Refused(f"run '{run.name}' has no checkpoint yet", instead="let it train to its first validation")
    return run.checkpoint(best[0])
