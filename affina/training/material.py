"""The data and the base of a recipe, read but not yet computed with: what `check` shows and `train` begins from.

Nothing here needs torch.
"""

from dataclasses import dataclass
from functools import cached_property

from affina.core.errors import Refused
from affina.core.example import Example
from affina.core.kinds import Metric, Row, metrics
from affina.core.recipe import Recipe
from affina.core.say import Say
from affina.data.prepare import Prepared, prepare
from affina.data.rows import Renderer
from affina.engine.source import Source, find
from affina.evaluation.answer import require, usual


@dataclass(frozen=True)
class Material:
    """A recipe's data as its base reads them."""

    recipe: Recipe
    source: Source
    renderer: Renderer
    prepared: Prepared

    @classmethod
    def gather(cls, recipe: Recipe, offline: bool, say: Say) -> "Material":
        """Raises Refused for anything in the data, the base or the metrics that cannot work."""
        source = find(recipe.model.base, offline, say.progress)
        renderer = Renderer.open(source.folder, recipe.data.template, recipe.data.max_tokens)
        prepared = prepare(recipe, renderer.objection)
        material = cls(recipe, source, renderer, prepared)
        consumed = recipe.objective.consumes
        odd = next((each for each in prepared.examples["train"] if not isinstance(each, consumed)), None)
        if odd is not None:
            raise Refused(
                f"objective {recipe.objective.name} cannot learn from {type(odd).__name__.lower()} examples",
                why=f"it takes {', '.join(kind.__name__.lower() for kind in consumed)}",
                instead="choose another objective, or set data.shape",
            )
        require(material.metrics, material.split("test"))
        return material

    def split(self, name: str) -> list[Example]:
        """A split's examples as the objective expands them."""
        return self.recipe.objective.expand(self.prepared.examples[name])

    @cached_property
    def rows(self) -> list[Row]:
        """The training split as tokens. Raises Refused when a row is cut and `data.truncate` does not allow it."""
        return self.renderer.rows(self.split("train"))

    @property
    def metrics(self) -> list[Metric]:
        """What is measured at the end: the recipe's metrics, or the usual ones; and the one early stopping watches."""
        chosen = self.recipe.evaluate.metrics or [metrics.build(name) for name in usual(self.split("test"))]
        named = {metric.name: metric for metric in (*chosen, self.recipe.evaluate.monitor)}
        return list(named.values())

    @property
    def label_count(self) -> int:
        """Outputs of the label head; 0 where the model ends in words."""
        return len(self.prepared.labels) if self.recipe.objective.head == "labels" else 0
