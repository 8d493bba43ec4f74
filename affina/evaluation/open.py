"""A model reference becomes a Model: a run's best checkpoint, a release, any base (alias, folder, file, hub name,
package), or an endpoint's address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from affina.core.atomic import damage
from affina.core.compute import Computing
from affina.core.errors import Failed, Refused
from affina.core.example import Example, Gapped, Labelled, Message, MultiLabelled, Tagged
from affina.core.kinds import Ending, Metric, Model, Objective, Tuning, metrics, objectives, shapes
from affina.core.recipe import Compute, Data, Recipe
from affina.core.run import Run
from affina.core.say import Say, Silent
from affina.data.fit import fit, too_long
from affina.data.prepare import Prepared, prepare, read_examples
from affina.data.rows import Renderer
from affina.data.shaped import Objection
from affina.engine import scratch
from affina.engine.folder import base_of_adapter, holds_virtual_tokens, reads
from affina.engine.offline import requested
from affina.evaluation.answer import offered, usual
from affina.evaluation.asking import unscored
from affina.evaluation.held import ABOUT, base_of, held
from affina.evaluation.reach import reach, released
from affina.evaluation.turns import LIKELIHOODS
from affina.evaluation.typed import typed

PLAIN = {
    "past": ("cross_entropy", "chat"),
    "source": ("seq2seq", "parallel"),
    "both": ("masked_lm", "text"),
    "order": ("permutation_lm", "text"),
}
"""By how a base reads: the objective that it is asked by, and what a person's text is to it."""


@dataclass(frozen=True)
class Opened:
    """A model ready to be asked; `run` is where it was trained or what was released of it, None for a base."""

    name: str
    model: Model
    run: Run | None
    reads: str = "past"
    """How a base reads: see `Objective.reads`."""
    base: Path = Path()
    """The local folder of the base."""
    trained: tuple[Tuning, Path] | None = None
    """What was trained on it, and the checkpoint that has it; None for a base."""
    system: str = ""
    """The system prompt that a release brings: what a conversation begins with that has none of its own."""
    root: Path = Path("runs")
    """Where the runs are that its data's transforms may ask."""

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
        return self.recipe.objective if self.recipe else objectives.build(PLAIN[self.reads][0])

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.lock.get("labels", ()))

    @property
    def hides(self) -> str:
        """The token behind which a masked model's words are hidden, as text."""
        renderer: Any = self.model.renderer
        return str(renderer.vocabulary.named.get("mask_token", ""))

    def ask(self, text: str, before: tuple[Message, ...] = ()) -> Example:
        """A question put the way this model was trained to hear it: as a text to label, to go on from, or to answer."""
        task = self.lock["task"] if self.run else PLAIN[self.reads][1]
        if self.system and not (before and before[0].role == "system"):
            before = (Message("system", self.system), *before)
        example = self.objective.expand([typed(task, text, self.labels, before)])[0]
        return replace(example, share=0.0) if isinstance(example, Gapped) else example


def open_model(
    reference: str, root: Path, offline: bool, say: Say, beside: Opened | None = None, vectors: bool | None = False
) -> Opened:
    """A model by its reference; a base that is measured `beside` a run is asked and computed as in that run.

    `vectors`: a base is opened for its embeddings alone, so that an encoder without words will do; None: where it has
    none.

    Raises Refused for an unknown reference (with the nearest run or alias), a run without a checkpoint, or an
    encoder without words.
    """
    if reference.startswith(("http://", "https://")) and not reference.partition("#")[0].endswith(".gguf"):
        return _served(reference, root, offline, say)
    from affina.engine.torch import foreign, tuned
    from affina.engine.torch.settle import settled_on

    run = held(reference, root)
    recipe, lock = (recipe_of(run), run.read("lock.json")) if run else (None, {})
    ahead = Path(reference) if run is None and holds_virtual_tokens(Path(reference)) else None
    source = base_of(run, recipe, reference if ahead is None else base_of_adapter(ahead), (root, offline, say))
    shared = beside.recipe if beside else None
    data = recipe.data if recipe else shared.data if shared else Data(read=["-"])
    renderer = Renderer.open(source.folder, data.template, data.max_tokens)
    if run is None or recipe is None:
        how = reads(source.folder)
        vectors = not how if vectors is None else vectors
        if not vectors and not how:
            raise Refused(f"{reference} is an encoder", why="it has no words to answer with", instead="train it first")
        computing = computing_of(beside.lock) if beside and beside.run else settled_on(Compute())
        ending = Ending("vector") if vectors else Ending(reads=how)
        plain = tuned.base if ahead is None else partial(foreign.with_virtual_tokens, ahead)
        return Opened(reference, plain(source.folder, renderer, computing, ending), None, how or "past", source.folder)
    if source.digest != lock["base"]["digest"]:
        raise Refused(f"the base of run '{run.name}' has changed", why=f"{source.folder} holds other weights than then")
    ending = recipe.objective.ending(len(lock["labels"]))
    trained = (recipe.tuning, best_of(run, recipe))
    model = tuned.reopen(source.folder, renderer, computing_of(lock), ending, trained)
    system = run.read(ABOUT, {}).get("system") or ""
    return Opened(run.name, model, run, base=source.folder, trained=trained, system=system, root=root)


def _served(reference: str, root: Path, offline: bool, say: Say) -> Opened:
    """A model behind an OpenAI-compatible endpoint; what leaves this machine is told before anything does."""
    from affina.engine.remote import remote

    model = remote(reference, offline or requested())
    address = model.endpoint.address
    if not address.here:
        say.line(
            f"What the model is asked, texts of the data among it, leaves this machine: it is sent to {address.host}"
        )
    if address.tokenizer:
        run = held(address.tokenizer, root)
        recipe = recipe_of(run) if run else None
        source = base_of(run, recipe, address.tokenizer, (root, offline, say))
        data = recipe.data if recipe else Data(read=["-"])
        model.renderer = Renderer.open(source.folder, data.template, data.max_tokens)
    return Opened(reference, model, None)


def computing_of(lock: Mapping[str, Any]) -> Computing:
    """How a run computed, as its lock says, without what only pays in training."""
    return replace(Computing(**lock["machine"]["compute"]), compile=False, checkpoint=False)


def recipe_of(run: Run) -> Recipe:
    """The recipe of a run's lock, with the folder its paths start from."""
    lock = run.read("lock.json")
    return Recipe.build(lock["recipe"], Path(lock["machine"]["folder"]))


def test_split(opened: Opened, keep: Sequence[str] = ()) -> list[Example]:
    """The run's own test items, as they were, with the columns `keep` as facts. Raises Refused when the files are not
    what they were."""
    return splits_of(opened, keep)["test"]


def splits_of(opened: Opened, keep: Sequence[str] = ()) -> dict[str, list[Example]]:
    """The run's own examples by split, as they were. Raises Refused when the files are not what they were."""
    assert opened.run is not None and opened.recipe is not None
    near = reach(opened.root, False, Silent())
    recipe = opened.recipe.change({"data.keep": _columns(opened.recipe.data, keep)}) if keep else opened.recipe
    prepared = prepare(recipe, objection(opened), near)
    if prepared.files != opened.lock["data"]:
        raise Refused(f"the data of run '{opened.name}' has changed since", instead="give the items with --on FILE")
    fitting, _ = fit(prepared, opened.objective, opened.model.renderer, opened.recipe.data.truncate)
    return fitting.examples


def _columns(data: Data, keep: Sequence[str]) -> list[str]:
    return [*dict.fromkeys([*data.keep, *keep])]


def from_file(opened: Opened, path: str, say: Say, keep: Sequence[str] = ()) -> list[Example]:
    """A file's usable rows, read with the run's own shape where there is one, under the labels it was trained with.

    `keep`: columns that become the examples' facts.

    Raises Refused for rows longer than the model takes, unless its recipe allows them to be cut.
    """
    data = opened.recipe.data if opened.recipe else Data(read=[path])
    data = data.model_copy(update={"keep": _columns(data, keep)})
    found = _read(opened, data, path)
    answerable(opened, opened.objective, found.examples["all"])
    prepared, rows = fit(found, opened.objective, opened.model.renderer, data.truncate)
    if data.truncate == "refuse" and (problem := too_long(rows, opened.model.renderer.max_tokens)):
        raise Refused(problem, where=path)
    for reason, times in prepared.ledger.reasons():
        say.line(f"{path}: {times} rows left out: {reason}")
    known = opened.labels
    return [
        replace(each, labels=known) if known and isinstance(each, Labelled | MultiLabelled | Tagged) else each
        for each in prepared.examples["all"]
    ]


def answerable(opened: Opened, objective: Objective, examples: Sequence[Example]) -> None:
    """Raises Refused for examples of a kind that the model was not made for."""
    odd = next((each for each in examples if not isinstance(each, objective.consumes)), None)
    if odd is not None:
        made_for = " or ".join(kind.__name__.lower() for kind in objective.consumes)
        raise Refused(
            f"{opened.name} cannot answer {type(odd).__name__.lower()} examples",
            why=f"it {'was trained for' if opened.run else 'is a base and answers'} {made_for}",
            instead="train a run for them, or give other items with --on FILE",
        )


def _read(opened: Opened, data: Data, path: str) -> Prepared:
    """The file by the run's own reader and shape; where they do not fit, as recognised, if it is of the same kind."""
    shape = shapes.build(opened.lock["shape"]) if opened.run else None
    plain = data.model_copy(update={"read": [path], "shape": None, "reader": None})
    try:
        return read_examples(
            plain.model_copy(update={"shape": shape, "reader": data.reader}), Path(), objection(opened)
        )
    except Refused:
        if shape is None:
            raise
        prepared = read_examples(plain, Path(), objection(opened))
        if prepared.shape.makes is not shape.makes:
            raise
        return prepared


def chosen_metrics(opened: Opened, examples: list[Example], beside: Opened | None = None) -> list[Metric]:
    """The recipe's metrics, or the usual ones of the task; for a run also the one its early stopping watched.

    Where this model or the one `beside` it gives no log-probabilities, those that read none: exact match at least.
    """
    settled = opened.recipe.evaluate if opened.recipe else None
    chosen = settled.metrics if settled and settled.metrics else [metrics.build(name) for name in usual(examples)]
    named = {metric.name: metric for metric in (*chosen, *([settled.monitor] if settled else []))}
    if any(unscored(each.model) for each in (opened, beside) if each):
        said = [metric for metric in named.values() if metric.reads not in LIKELIHOODS]
        if said or "text" in offered(examples):
            return said or [metrics.build("exact_match")]
    return list(named.values())


def objection(opened: Opened) -> Objection:
    """What its renderer has against an example (see `Renderer.objection`), or what the one it was made with had."""
    recipe = opened.recipe
    renderer: Any = opened.model.renderer
    if recipe is not None and recipe.model.scratch is not None:
        return scratch.objection(recipe.model)
    return Objection(renderer.vocabulary.digest, renderer.objection)


def is_run(reference: str, root: Path) -> bool:
    """Whether a run or a release of that name, or in that folder, is there."""
    folders = (root / reference, Path(reference))
    return any((folder / "lock.json").is_file() for folder in folders) or bool(released(reference, root))


def run_of(reference: str, root: Path) -> str | None:
    """The run that a model's reference names: its name, its folder, or the model's folder inside it."""
    if is_run(reference, root):
        return reference
    beside = Path(reference).parent
    return str(beside) if Path(reference).name == "model" and (beside / "lock.json").is_file() else None


def best_of(run: Run, recipe: Recipe) -> Path:
    """The best checkpoint of a run. Raises Refused where there is none yet, Failed for a damaged one."""
    monitor = recipe.evaluate.monitor
    best = run.best(monitor.name, monitor.higher_is_better)
    if best is None or not run.checkpoint(best[0]).is_dir():
        raise Refused(f"run '{run.name}' has no checkpoint yet", instead="let it train to its first validation")
    if wrong := damage(run.checkpoint(best[0])):
        raise Failed(f"the best checkpoint of run '{run.name}' is damaged", why=wrong, instead="train it again")
    return run.checkpoint(best[0])
