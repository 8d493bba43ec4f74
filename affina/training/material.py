"""The data and the base of a recipe, read but not yet computed with: what `check` shows and `train` begins from.

torch is not loaded into this process: see `fits`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Example, Labelled
from affina.core.kinds import Ending, Metric, Row, metrics, tasks
from affina.core.recipe import Recipe
from affina.core.say import Say
from affina.core.task import Task
from affina.data.classes import never_learnt
from affina.data.compose import units
from affina.data.fit import fit, too_long
from affina.data.prepare import Prepared, prepare
from affina.data.rows import Renderer
from affina.data.shaped import Objection
from affina.engine import scratch
from affina.engine.fits import fits
from affina.engine.folder import has_words, reads
from affina.engine.outline import outline
from affina.engine.source import ALIASES, Source
from affina.evaluation.answer import asker, require, usual
from affina.evaluation.held import begun
from affina.evaluation.reach import reach
from affina.evaluation.suite import called, directions

RUNS = Path("runs")
FORGETTING = "neutral_text"
"""The suite of every run whose recipe names none."""


@dataclass(frozen=True)
class Material:
    """A recipe's data as its base reads them; `by_split` are the rows of each split."""

    recipe: Recipe
    source: Source
    renderer: Renderer
    prepared: Prepared
    by_split: Mapping[str, Sequence[Row]]

    @classmethod
    def gather(cls, recipe: Recipe, offline: bool, say: Say, root: Path = RUNS) -> "Material":
        """Models that transforms ask are runs under `root`, or bases. Raises Refused for anything in the data, the base
        or the metrics that cannot work; a base in a folder of its own is looked at last, when all else has been."""
        near = (root, offline, say)
        source, renderer, prepared = (_from_scratch if recipe.model.scratch else _from_base)(recipe, near)
        _consumed(recipe, prepared)
        _coupled(recipe)
        _penalised(recipe)
        prepared, rows = fit(prepared, recipe.objective, renderer, recipe.data.truncate)
        material = cls(recipe, source, renderer, prepared, rows)
        require(material.metrics, material.split("test"))
        material._decidable()
        if source.digest or material.problems:
            return material
        return replace(material, source=begun(_base(recipe), near))

    def weighed(self, say: Say) -> "Material":
        """With weights in the source's folder: drawn from the seed where the model starts from nothing."""
        if self.recipe.model.scratch is None:
            return self
        return replace(self, source=scratch.weighed(self.source, self.recipe.train.seed, say.progress))

    def split(self, name: str) -> list[Example]:
        """A split's examples as the objective expands them."""
        return self.recipe.objective.expand(self.prepared.examples[name])

    @property
    def rows(self) -> Sequence[Row]:
        """The training split as tokens."""
        return self.by_split["train"]

    @cached_property
    def count(self) -> int:
        """Training rows, tied ones counted once: what an epoch shows."""
        return len(units(self.rows))

    @cached_property
    def problems(self) -> list[str]:
        """What training refuses although it can be looked at, a sentence each."""
        found = []
        if self.recipe.data.truncate == "refuse":
            found.append(too_long(self.by_split, self.renderer.max_tokens))
        found.append(never_learnt(self.prepared.examples))
        silent = [row.id for row in self.rows if not (row.taught or row.cut)]
        if silent:
            found.append(
                f"{len(silent)} training rows have nothing to learn, the first is {silent[0]}: mend or remove them"
            )
        return [problem for problem in found if problem]

    @cached_property
    def metrics(self) -> list[Metric]:
        """What is measured at the end: the recipe's metrics, or the usual ones; and the one early stopping watches."""
        chosen = self.recipe.evaluate.metrics or [metrics.build(name) for name in usual(self.split("test"))]
        named = {metric.name: metric for metric in (*chosen, self.recipe.evaluate.monitor)}
        return list(named.values())

    @cached_property
    def suites(self) -> dict[str, Task]:
        """The tasks that the run is put to before and after: the recipe's, or the one that shows forgetting."""
        given = self.recipe.evaluate.suites
        if given is not None:
            return called(given)
        return {} if self.unsuited else called([tasks.build(FORGETTING)])

    @property
    def unsuited(self) -> list[str]:
        """Why forgetting is not measured where the recipe names no suite, in a sentence; none where it is."""
        if self.recipe.evaluate.suites is not None:
            return []
        if self.recipe.model.scratch is not None:
            return ["forgetting is not measured: a model that starts from nothing has nothing to forget"]
        if self.recipe.objective.head != "words" or self.recipe.objective.reads != "past":
            return [f"forgetting is not measured: {FORGETTING} asks models that go on from a text in words"]
        return []

    @property
    def ending(self) -> Ending:
        """What the model ends in."""
        return self.recipe.objective.ending(len(self.prepared.labels))

    @cached_property
    def trivial(self) -> Answers | None:
        """What answers to the test split without a model, where an untrained base cannot be asked."""
        asking = asker(self.split("test"))
        if self.recipe.model.scratch is not None:
            counted = asking.counted(self.rows, self.by_split["test"], len(self.renderer.vocabulary))
            said = asking.said(self.split("train"), self.split("test"))
            columns = {metric.reads for metric in self.metrics}
            if counted is not None and columns <= {"nats", "words"}:
                return counted
            if counted is not None and said is not None and columns <= {"nats", "words", "text"}:
                return replace(counted, **said)
        return asking.trivial(self.split("train"), self.split("test"))

    @cached_property
    def base_speaks(self) -> bool:
        """Whether a base whose labels are new can be asked in words: it has some, and a token that ends an answer."""
        if self.recipe.model.scratch is not None:
            return False
        try:
            one_label = self.recipe.objective.consumes == (Labelled,)
            return one_label and has_words(self.source.folder) and bool(self.renderer.stops)
        except Refused:
            return False

    def _decidable(self) -> None:
        """Refuses suites without a base, a verdict on what is not measured, or on a loss that the base and a label head
        count differently."""
        if self.suites and self.recipe.model.scratch is not None:
            raise Refused(
                "evaluate.suites cannot be measured before and after",
                why="a model that starts from nothing has no base",
                instead="take them out, and put the run to them with `affina evaluate RUN --on TASK`",
            )
        named, measured = {metric.name: metric for metric in self.metrics}, directions(self.suites)
        deciding = [rule.metric for rule in self.recipe.evaluate.gate.judged(next(iter(named)))]
        absent = next((name for name in deciding if name not in named and name not in measured), "")
        if absent:
            where = "evaluate.suites" if "." in absent else "evaluate.metrics"
            known = f" (they have {', '.join(measured)})" if "." in absent and measured else ""
            raise Refused(
                f"evaluate.gate asks for {absent}, which is not measured",
                instead=f"add {absent.partition('.')[0]} to {where}{known}, or take it out of evaluate.gate",
            )
        counted = next((name for name in deciding if name in named and named[name].reads in ("nats", "words")), "")
        if counted and self.base_speaks and isinstance(self.split("test")[0], Labelled):
            raise Refused(
                f"{counted} cannot decide about a label head",
                why="the base is measured in words, and a loss per word says nothing beside a loss per label",
                instead="put accuracy first in evaluate.metrics",
            )


Found = tuple[Source, Renderer, Prepared]
Near = tuple[Path, bool, Say]
"""The root of the runs, whether offline, and who is told."""


def _from_base(recipe: Recipe, near: Near) -> Found:
    """The data as the base reads them; the base without its digest where its weights were not looked at."""
    reference = _base(recipe)
    source = outline(reference, near[1], near[2].progress) or begun(reference, near)
    renderer = _renderer(recipe, source)
    fits(recipe, source.folder)
    return source, renderer, prepare(recipe, Objection(renderer.vocabulary.digest, renderer.objection), reach(*near))


def _from_scratch(recipe: Recipe, near: Near) -> Found:
    """The data, and a model whose tokenizer is learnt from their training split; it has no weights yet."""
    prepared, say = prepare(recipe, scratch.objection(recipe.model), reach(*near)), near[2]
    source = scratch.draft(recipe.model, prepared.examples["train"], say.progress)
    renderer = _renderer(recipe, source)
    fits(recipe, source.folder)
    return source, renderer, prepared


def objection(recipe: Recipe, offline: bool, say: Say, root: Path = RUNS) -> Objection:
    """What the recipe's model has against an example."""
    if recipe.model.scratch is not None:
        return scratch.objection(recipe.model)
    renderer = _renderer(recipe, begun(_base(recipe), (root, offline, say)))
    return Objection(renderer.vocabulary.digest, renderer.objection)


def _renderer(recipe: Recipe, source: Source) -> Renderer:
    _reads(recipe, source)
    return Renderer.open(source.folder, recipe.data.template, recipe.data.max_tokens)


def _base(recipe: Recipe) -> str:
    """The base's reference; a path starts, as in `data.read`, from the recipe's own folder."""
    assert recipe.model.base is not None
    beside = recipe.folder / Path(recipe.model.base).expanduser()
    return str(beside.resolve()) if recipe.model.base not in ALIASES and beside.exists() else recipe.model.base


KINDS = {
    "past": ("a base that goes on from a text in words", "cross_entropy"),
    "both": ("a masked language model with its head of words", "masked_lm"),
    "order": ("an XLNet with its head of words", "permutation_lm"),
    "source": ("an encoder–decoder", "seq2seq"),
    "": ("an encoder without words", "classify, tag, span, regression, multi_label or contrastive"),
}


def _reads(recipe: Recipe, source: Source) -> None:
    """Raises Refused for an objective in words whose way of reading is not the base's."""
    objective, own = recipe.objective, reads(source.folder)
    if objective.head == "words" and objective.reads != own:
        what, instead = KINDS[own]
        raise Refused(
            f"objective {objective.name} needs {KINDS[objective.reads][0]}",
            why=f"{source.reference} is {what}",
            instead=f"choose another base, or the objective {instead}",
        )


def _penalised(recipe: Recipe) -> None:
    for penalty in recipe.penalties:
        if why := penalty.objection(recipe.objective):
            raise Refused(f"penalty {penalty.name}", why, "take it out of penalties, or choose another objective")


def _coupled(recipe: Recipe) -> None:
    """Raises Refused for micro-batches of a batch whose rows are compared with each other."""
    if recipe.objective.couples and recipe.train.accumulate > 1:
        raise Refused(
            f"train.accumulate: {recipe.train.accumulate} with the objective {recipe.objective.name}",
            why="each row is compared with all others of its batch, and micro-batches would leave most out",
            instead="set train.accumulate: 1, with a smaller train.batch where memory is short",
        )


def _consumed(recipe: Recipe, prepared: Prepared) -> None:
    consumed = recipe.objective.consumes
    odd = next((each for each in prepared.examples["train"] if not isinstance(each, consumed)), None)
    if odd is not None:
        raise Refused(
            f"objective {recipe.objective.name} cannot learn from {type(odd).__name__.lower()} examples",
            why=f"it takes {', '.join(kind.__name__.lower() for kind in consumed)}",
            instead="choose another objective, or set data.shape",
        )
