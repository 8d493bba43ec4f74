"""Everything a run works with, opened once: examples, rows, the engine and the plan."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from affina.core.address import moved
from affina.core.errors import Failed
from affina.core.example import Example
from affina.core.kinds import Sampling
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Say
from affina.engine.torch.load import load
from affina.engine.torch.step import Course, TorchEngine
from affina.training.frozen import with_trunk
from affina.training.material import Material
from affina.training.plan import Plan

SPARE_TOKENS = 8


@dataclass(frozen=True)
class Session:
    """A run in progress."""

    material: Material
    plan: Plan
    run: Run
    engine: TorchEngine

    @classmethod
    def open(cls, material: Material, settled: Plan, run: Run) -> "Session":
        """Loads the base and makes what the tuning trains. Raises Failed when that is not what its formula says.

        Raises Refused for a frozen trunk that is asked for and cannot be kept.
        """
        torch.set_num_threads(settled.threads)
        recipe, train = settled.recipe, settled.recipe.train
        shares = recipe.model.dropout.model_dump()
        network = load(material.source.folder, settled.computing, material.ending, shares)
        course = Course(
            recipe.tuning, train.optimizer, train.schedule, settled.learning_rate, settled.steps, train.seed,
            recipe.penalties, recipe.model.noise, recipe.evaluate.averaging,
            recipe.objective.measure(material.split("train")),
        )  # fmt: skip
        engine = TorchEngine(network, material.renderer, course)
        moving = sum(each.numel() for name, each in engine.trainable().items() if name.startswith("model."))
        if moving != (expected := recipe.tuning.count(network.model)):
            raise Failed(f"tuning {recipe.tuning.name} moves {moving} numbers where its formula says {expected}")
        begun = run.read("lock.json") is not None
        return cls(material, with_trunk(settled, material, network, begun), run, engine)

    @property
    def recipe(self) -> Recipe:
        return self.plan.recipe

    @property
    def columns(self) -> frozenset[str]:
        """What the metrics read of a model's answers."""
        return frozenset(metric.reads for metric in self.material.metrics)

    @cached_property
    def sampling(self) -> Sampling:
        """Greedy, as long as the longest right answer of the test split and a little."""
        return Sampling(max_tokens=max(row.targets for row in self.material.by_split["test"]) + SPARE_TOKENS)

    def begin(self, say: Say) -> None:
        """Writes recipe, lock and ledger, and says what will move."""
        lock = self.run.read("lock.json")
        if lock is None:
            self.run.write("recipe.yaml", self._moved().dump())
            self.material.prepared.ledger.write(self.run.folder)
        if lock != self.plan.lock:  # on resume the recipe's folder, where the data are found, and licences may differ
            self.run.write("lock.json", self.plan.lock)
        material, network = self.material, self.engine.network
        for note in (*material.renderer.notes, *material.prepared.notes, *network.notes, *network.trunk.notes):
            say.line(note)
        moving, kept = self.engine.trainable(), self.engine.frozen()
        written = self.recipe.tuning.size_bytes(network.model, material.source.folder)
        written += sum(each.numel() * each.element_size() for name, each in moving.items() if name.startswith("head."))
        count, size = sum(each.numel() for each in moving.values()), sum(each.numel() for each in kept.values())
        say.line(
            f"{self.recipe.tuning.name} moves {count:,} of {count + size:,} numbers "
            f"({100 * count / (count + size):.2f} %), {written / 1e6:.1f} MB on disk; "
            f"{self.plan.steps} steps in {self.plan.computing.precision} on {self.plan.lock['machine']['device']}"
        )

    def _moved(self) -> Recipe:
        """The recipe as it reads from the run's own folder."""
        recipe, here = self.material.recipe, self.run.folder.resolve()
        paths = {each: moved(each, recipe.folder.resolve(), here) for each in recipe.data.read}
        changes: dict[str, Any] = {"data.read": [paths[each] for each in recipe.data.read]}
        if isinstance(recipe.data.licence, dict):
            changes["data.licence"] = {paths[name]: text for name, text in recipe.data.licence.items()}
        if recipe.model.base is None:
            return recipe.change(changes)
        base = recipe.folder.resolve() / recipe.model.base
        kept = os.path.relpath(base, here) if base.exists() else recipe.model.base
        return recipe.change({**changes, "model.base": kept})

    def expanded(self, split: str) -> Sequence[Example]:
        return self.material.split(split)
