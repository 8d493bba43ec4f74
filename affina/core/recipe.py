"""A recipe: at most ten sections that name parts. Loaded, checked, changed and dumped; it holds no machine facts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_serializer, field_validator, model_validator

from affina.core import kinds
from affina.core.address import WRITTEN_OUT, literal_secret
from affina.core.errors import Refused, nearest
from affina.core.gate import Gate
from affina.core.invalid import located
from affina.core.kinds import (
    Averaging,
    Metric,
    Objective,
    Optimizer,
    Penalty,
    Reader,
    Regime,
    Schedule,
    Shape,
    Transform,
    Tuning,
    averagings,
    objectives,
    optimizers,
    readers,
    regimes,
    schedules,
    shapes,
    tunings,
)  # fmt: skip
from affina.core.model_choice import ModelChoice
from affina.core.section import Section
from affina.core.settings import put, shortest, whole
from affina.core.task import Task
from affina.core.yaml_text import WORDED, parsed

Switch = Annotated[Literal["auto", "on", "off"], WORDED]


class Data(Section):
    """Where the examples come from and what happens to them before training."""

    read: list[str] = Field(min_length=1)
    """Files, folders, patterns, archives (`a.zip!/inside/*.csv`), `-` for standard input, or a database's address with
    its secrets as `${NAME}`; read in order. Paths are relative to the recipe's own folder."""
    reader: Annotated[Reader, readers] | None = None
    """The file format; recognised from the ending and the bytes when left out."""
    shape: Annotated[Shape, shapes] | None = None
    """The dataset shape; recognised by looking at many records when left out."""
    keep: list[str] = Field(default=[])
    """Columns kept beside each example (a customer, a date, a region): what data is split, weighed and looked at by."""
    transforms: list[Annotated[Transform, kinds.transforms]] = Field(default=["dedup", "split"])  # type: ignore[list-item]
    """Applied in order. A `split` is needed somewhere."""
    template: Literal["own", "tools", "plain"] | None = None
    """The base's own chat template, ChatML that shows `tools` (written into the model), or `plain` text; when left out,
    `own` where the base has one."""
    max_tokens: int = Field(1024, ge=8)
    """The longest row in tokens; raw text is divided into rows of this length."""
    truncate: Literal["refuse", "allow"] = "refuse"
    """What to do with a row longer than `max_tokens`: refuse to start, or cut it and say what was lost."""
    on_bad: Literal["quarantine", "stop"] = "quarantine"
    """What to do with a row that cannot be used."""
    licence: str | dict[str, str] = ""
    """The terms under which the data are had, as `CC-BY-4.0`: one for all, or one by each name in `read`. For the
    lineage and the card, where what is left out is marked for a person; nothing that is learnt hangs on it."""

    @field_validator("read", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_file(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @field_validator("read")
    @classmethod
    def _no_secret(cls, given: list[str]) -> list[str]:
        if any(map(literal_secret, given)):
            raise ValueError(WRITTEN_OUT)
        return given

    @field_validator("licence")
    @classmethod
    def _of_what_is_read(cls, given: str | dict[str, str], info: ValidationInfo) -> str | dict[str, str]:
        if isinstance(given, str):
            return " ".join(given.split())
        read = info.data.get("read", [])
        if unread := next((name for name in given if name not in read), None):
            raise ValueError(f"'{unread}' is not read; {nearest(unread, read)}")
        return {name: " ".join(text.split()) for name, text in given.items()}


class Compute(Section):
    """How the engine computes. Every switch changes speed and memory; none changes what is learnt beyond rounding."""

    precision: Literal["auto", "bf16", "float32"] = "auto"
    """Of frozen weights and products; `auto` is bf16 where the processor has it."""
    packing: Annotated[Literal["auto", "off"], WORDED] = "auto"
    """Rows side by side in one flat batch, where the base's attention takes it; `off`: padded to their longest."""
    head: Literal["targets", "everywhere"] = "targets"
    """Which positions' distributions over words are computed to learn; `everywhere`: all, held whole."""
    kernels: Switch = "auto"
    """Fused blocks with kernels that the machine's own C++ compiler builds once; `auto`: where both are known."""
    compile: Switch = "auto"
    """torch.compile of blocks that have no fused form; `auto`: when the run is long enough to repay it."""
    checkpoint: Switch = "auto"
    """Keep only each block's input and compute the block again in backward; `auto`: when memory would not suffice."""
    trunk: Annotated[Literal["auto", "memory", "disk", "off"], WORDED] = "auto"
    """Where the outputs of frozen lowest blocks are kept, computed once per example; `auto`: memory, then disk."""
    ahead: int = Field(4, ge=0, le=1000)
    """Batches made in a thread before their steps ask for them; 0: each is made when its step asks."""
    masters: Literal["float32", "bf16"] = "float32"
    """Of what trains. `bf16` (with `precision: bf16`) halves its matrices, rounded stochastically at each step."""


class Train(Section):
    """How long and how fast to learn."""

    epochs: float | None = Field(None, gt=0)
    """Passes over the training split. `epochs` or `steps`, never both; 3 epochs when neither is given."""
    steps: int | None = Field(None, ge=1)
    """Optimizer steps."""
    batch: int = Field(16, ge=1)
    """Examples per optimizer step."""
    accumulate: int = Field(1, ge=1)
    """Micro-batches a step is computed in; it changes memory, not the result."""
    learning_rate: float | None = Field(None, gt=0)
    """The peak rate; the tuning's recommended one when left out."""
    schedule: Annotated[Schedule, schedules] = "cosine"  # type: ignore[assignment]
    """How the rate rises and falls over the steps."""
    optimizer: Annotated[Optimizer, optimizers] = "adamw"  # type: ignore[assignment]
    """What turns gradients into changes of the weights."""
    save_every: int = Field(50, ge=1)
    """Optimizer steps between checkpoints."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Decides every draw: the split, the order of rows, new weights. The same seed gives the same run."""
    compute: Compute = Compute()
    """How the engine computes: speed and memory, each with a switch."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("takes epochs or steps, never both: leave one out")
        if self.accumulate > self.batch:
            raise ValueError(f"accumulate ({self.accumulate}) divides the batch ({self.batch}): it cannot exceed it")
        return self

    def total_steps(self, examples: int) -> int:
        """Optimizer steps for this many training examples; an epoch's last step may be smaller than `batch`."""
        if self.steps is not None:
            return self.steps
        return max(1, math.ceil((3.0 if self.epochs is None else self.epochs) * self.steps_per_epoch(examples)))

    def steps_per_epoch(self, examples: int) -> int:
        return math.ceil(examples / self.batch)

    def saves(self, step: int) -> bool:
        return step % self.save_every == 0


class Evaluate(Section):
    """What is measured, how often, and when it is good enough."""

    metrics: list[Annotated[Metric, kinds.metrics]] = Field(default=[])
    """The first decides the verdict. When left out: accuracy, f1, loss where answers are a known few; else loss,
    perplexity."""
    every: int | None = Field(None, ge=1)
    """Optimizer steps between validations; once an epoch when left out."""
    patience: int = Field(3, ge=1)
    """Validations without improvement before training stops; the best checkpoint is restored."""
    monitor: Annotated[Metric, kinds.metrics] = "loss"  # type: ignore[assignment]
    """The validation metric that early stopping watches."""
    averaging: Annotated[Averaging, averagings] | None = None
    """The average of the weights that is measured, kept and released in their place; none when left out."""
    suites: list[Annotated[Task, kinds.tasks]] | None = None
    """Tasks put to the base before the first step and to the best checkpoint after the last, item by item: what it may
    have forgotten, its safety, its bias. When left out: neutral_text where the model ends in words; `[]`: none."""
    gate: Gate = Gate()
    """What must be better, and what must not get worse, before the model may be promoted."""

    def due(self, step: int) -> bool:
        assert self.every is not None, "the plan sets `every`"
        return step % self.every == 0


class Recipe(Section):
    """A whole run, as one object. `folder` is where the recipe's file stands: paths in `data.read` start there."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)
    model: ModelChoice
    data: Data
    tuning: Annotated[Tuning, tunings] = "lora"  # type: ignore[assignment]
    objective: Annotated[Objective, objectives] = "cross_entropy"  # type: ignore[assignment]
    penalties: list[Annotated[Penalty, kinds.penalties]] = Field(default=[])
    regime: Annotated[Regime, regimes] = "supervised"  # type: ignore[assignment]
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    folder: Path = Field(default=Path(), exclude=True, repr=False)

    @model_validator(mode="after")
    def _all_of_it_learns(self) -> Self:
        if self.model.scratch is not None and self.tuning.name != "full":
            why = "random weights know nothing to adapt, so every one of them has to move"
            raise ValueError(
                f"tuning {self.tuning.name} goes with a base, and model.scratch has none: {why}. Set tuning: full"
            )
        return self

    @model_validator(mode="after")
    def _kept_in_order(self) -> Self:
        ordering = next((transform.name for transform in self.data.transforms if transform.orders), "")
        if ordering and self.regime.shuffles:
            raise ValueError(
                f"{ordering} puts the training rows in order, and the regime {self.regime.name} would shuffle them. "
                "Set regime: ordered"
            )
        return self

    @classmethod
    def load(cls, path: str | Path, changes: Mapping[str, Any] | None = None) -> Recipe:
        """The recipe in a YAML file, dotted `changes` applied. Raises Refused with file, line and nearest match."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise Refused(f"no recipe at {path}", instead="`affina new FILE` writes one") from error
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{path} cannot be read as a recipe", why=str(error)) from error
        given = parsed(text, str(path))
        if not isinstance(given, dict):
            raise Refused(f"{path} holds no recipe", why="it is no mapping of sections", instead="see `affina schema`")
        given.setdefault("name", path.stem)
        recipe = cls.build(given, path.parent, text=text, where=str(path))
        return recipe.change(changes, where="--set") if changes else recipe

    @classmethod
    def build(cls, given: Mapping[str, Any], folder: Path = Path(), text: str = "", where: str = "recipe") -> Recipe:
        """A recipe from plain data. Raises Refused with every problem located."""
        try:
            return cls.model_validate({**given, "folder": folder})
        except ValidationError as error:
            raise located(cls, error, text, where) from error

    def change(self, changes: Mapping[str, Any], where: str = "change") -> Recipe:
        """The same recipe with dotted settings changed: `recipe.change({"objective.beta": 0.3})`."""
        given = self.model_dump(mode="json")
        for key, value in changes.items():
            put(given, key.split("."), value)
        try:
            return type(self).model_validate({**given, "folder": self.folder})
        except ValidationError as error:
            raise located(type(self), error, "", where, changes) from error

    def dump(self) -> str:
        """The shortest YAML that loads as this recipe."""
        return yaml.safe_dump(shortest(self), sort_keys=False, allow_unicode=True)

    def resolved(self) -> dict[str, Any]:
        """Every setting of every part, defaults included, as plain data: what the lock records."""
        plain: dict[str, Any] = whole(self)
        del plain["folder"]
        return plain

    @field_serializer("folder")
    def _folder(self, folder: Path) -> str:
        return str(folder)
