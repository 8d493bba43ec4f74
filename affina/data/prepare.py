"""From a recipe to examples in three splits, every input row accounted for; torch is never imported.

Memory does not grow with the data until the splits are loaded: records are read in a stream, examples that are many
stand on disk between two transforms, and the splits are files in the cache (`once`), made once for the same inputs.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from affina.core.atomic import sha256, write_json
from affina.core.errors import Refused
from affina.core.example import Example
from affina.core.kinds import Desk, Model, Package, Shape, no_model, no_package, shapes
from affina.core.recipe import Data, Recipe
from affina.data import encoding, once, scratch, stored
from affina.data.classes import WITH_LABELS, label_set, refuse_one_class, under_several
from affina.data.files import by_entry, short_names
from affina.data.held import held
from affina.data.ledger import Ledger
from affina.data.recognise import Reading, readings, shape_for
from affina.data.shaped import Objection, Shaped
from affina.data.stream import Records

SPLITS = ("train", "validation", "test")
ABOUT = "prepared.json"


@dataclass(frozen=True)
class Reach:
    """What preparation can get at beside its files; nothing where it is not told how."""

    open: Callable[[str], Model] = no_model
    """A model by its reference."""
    fetch: Callable[[Package], Path] = no_package
    """A package's files in a local folder."""
    digest: Callable[[str], str] = lambda reference: ""
    """What changes with the weights of a model on this machine; empty for any other."""


ALONE = Reach()


@dataclass(frozen=True)
class Prepared:
    """Examples by split (`train`, `validation`, `test`; or `all` for a file read whole) and where they came from."""

    examples: dict[str, list[Example]]
    ledger: Ledger
    shape: Shape
    files: dict[str, str]
    """Each file read and its SHA-256."""
    labels: tuple[str, ...]
    """Every class of the data, sorted; empty where rows have no class."""
    notes: tuple[str, ...]
    """What was recognised, guessed or passed over, a sentence each."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """Of each file whose licence the recipe names, that."""


@dataclass(frozen=True)
class Built:
    """Prepared data in its folder of the cache: `train.parquet`, `validation.parquet`, `test.parquet`, the ledger's
    files, and `prepared.json`."""

    folder: Path
    made: bool = False
    """Whether it was made now, not found."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """Of each file whose licence the recipe names, that: what is kept here is the same under any."""

    @cached_property
    def about(self) -> dict[str, Any]:
        """`shape`, `files` (name → SHA-256), `labels`, `notes` and the ledger's `marks`."""
        found: dict[str, Any] = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
        return found

    @property
    def ledger(self) -> Ledger:
        """The books, to be gone on with."""
        return Ledger.opened(self.folder, self.about["marks"])

    def loaded(self) -> Prepared:
        """All of it in memory."""
        about, labels = self.about, tuple(self.about["labels"])
        examples = {split: list(stored.read_parquet(self.folder / f"{split}.parquet", labels)) for split in SPLITS}
        shape = shapes.build(about["shape"])
        notes = tuple(about["notes"])
        return Prepared(examples, self.ledger, shape, about["files"], labels, notes, self.licences)


def prepare(recipe: Recipe, objection: Objection | None = None, reach: Reach = ALONE) -> Prepared:
    """`build`, and its examples loaded."""
    return build(recipe, objection, reach).loaded()


def build(recipe: Recipe, objection: Objection | None = None, reach: Reach = ALONE) -> Built:
    """Reads, recognises, transforms and splits; what there is an `objection` to is quarantined. The ledger adds up.

    Transforms get models and packages through `reach`. Made once for the same files, settings, seed and objector.
    Raises Refused for unreadable files, an unknown shape, no usable row, a single class, a missing or an empty split.
    """
    found = _Files(recipe.data, recipe.folder)
    folder = once.place(
        recipe, found.places, objection.by if objection else "", lambda name: reach.digest(_beside(recipe, name))
    )
    made = once.made_once(folder, lambda aside: _make(recipe, found, objection, reach, aside))
    if not made:
        once.restore_written(recipe, folder)
    return Built(folder, made, found.licences)


def read_examples(data: Data, folder: Path, objection: Objection | None = None) -> Prepared:
    """Every usable row of `data.read` under the key `all`, no transform applied: what a file is evaluated on."""
    found = _Files(data, folder)
    ledger, notes = Ledger(data.on_bad), [*found.notes]
    shape, examples = _shaped(data, found, ledger, notes, objection)
    labels = _labels(examples, notes)
    ledger.use("all", examples)
    ledger.reconcile()
    return Prepared({"all": _with_labels(examples, labels)}, ledger, shape, found.hashes, labels, tuple(notes))


def read_held(data: Data, folder: Path) -> Collection[Example]:
    """Every usable row of `data.read`, no transform applied, in memory or on disk."""
    ledger = Ledger(data.on_bad)
    return _shaped(data, _Files(data, folder), ledger, [], None)[1]


class _Files:
    """What `data.read` names: each file's hash, its records, and how it is read."""

    def __init__(self, data: Data, folder: Path) -> None:
        self._entries, self.notes = by_entry(data.read, folder, data.reader)
        self.paths = list(dict.fromkeys(path for paths in self._entries.values() for path in paths))
        self._names, self._data = short_names(self.paths), data
        self.hashes = {self._names[path]: sha256(path) for path in self.paths}
        self.places = {os.path.abspath(scratch.shown(path)): self.hashes[self._names[path]] for path in self.paths}
        """Where each file stands, and its hash: a ledger names files, so what was made of a copy is not used."""

    @property
    def licences(self) -> dict[str, str]:
        """File → licence, the first one named where several names in `read` lead to it."""
        stated, found = self._data.licence, dict[str, str]()
        for entry, paths in self._entries.items():
            if said := stated if isinstance(stated, str) else stated.get(entry, ""):
                for path in paths:
                    found.setdefault(self._names[path], said)
        return found

    @cached_property
    def readings(self) -> list[Reading]:
        return readings(self.paths, self._data.reader)

    @property
    def divisible(self) -> bool:
        """They are of text that can be divided into smaller rows."""
        return all(reading.reader.texts for reading in self.readings)

    def records(self) -> Records:
        return Records(self.readings, [self._names[reading.paths[0]] for reading in self.readings])

    def told(self) -> list[str]:
        """How each file is read, and what was guessed."""
        notes: list[str] = []
        reasons: dict[str, list[str]] = {}
        for reading in self.readings:
            reasons.setdefault(reading.reason, []).append(self._names[reading.paths[0]])
            if "encoding" in type(reading.reader).model_fields and not getattr(self._data.reader, "encoding", None):
                named = getattr(reading.reader, "encoding", None)
                found = [encoding.detect(path) for path in reading.paths]
                notes += [each.note for each in found if each.note and each.name == named]
        for reason, names in reasons.items():
            notes.append(f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}")
        return notes


def _make(recipe: Recipe, found: _Files, objection: Objection | None, reach: Reach, folder: Path) -> None:
    """Fills the folder of a `Built`."""
    ledger, notes = Ledger(recipe.data.on_bad), [*found.notes]
    shape, examples = _shaped(recipe.data, found, ledger, notes, objection)

    def opened(reference: str) -> Model:
        try:
            return reach.open(_beside(recipe, reference))
        except Refused as error:
            why = f"a transform of `data.transforms` asks it, and {error.what}"
            why += f": {error.why}" if error.why else ""
            raise Refused(f"the rows cannot be made without the model '{reference}'", why, error.instead) from error

    desk = Desk(ledger, recipe.train.seed, recipe.folder, opened, reach.fetch, notes)
    for transform in recipe.data.transforms:
        examples = held(transform.apply(examples, desk))
    labels = _labels(examples, notes)
    refuse_one_class(examples, labels)
    _divide(examples, ledger, found.divisible, folder, labels)
    ledger.reconcile()
    ledger.write(folder)
    about = {
        "shape": shapes.dump(shape),
        "files": found.hashes,
        "labels": labels,
        "notes": notes,
        "marks": ledger.marks(),
    }
    write_json(folder / ABOUT, about, 0o600)
    once.keep_written(recipe, folder)


def _beside(recipe: Recipe, reference: str) -> str:
    """A model's reference; that of a folder, or of a .gguf file, is relative to the recipe's folder."""
    beside = recipe.folder / Path(reference).expanduser()
    local = beside.is_dir() or (beside.suffix == ".gguf" and beside.is_file())
    return str(beside.resolve()) if local else reference


def _shaped(
    data: Data, found: _Files, ledger: Ledger, notes: list[str], objection: Objection | None
) -> tuple[Shape, Collection[Example]]:
    """Every record as an example or in quarantine, counted twice. Raises Refused when nothing is left."""
    records = found.records()
    notes += found.told()
    shape = data.shape
    if shape is None and (sample := records.sample()):
        shape, reason = shape_for(sample)
        notes.append(reason)
    facts = dict.fromkeys([*data.keep, *(name for each in data.transforms for name in each.reads())])
    examples = Shaped(shape, [*facts], ledger, objection).examples(records)
    assert shape is not None, "without a shape no example is left"
    for file, count in records.counts().items():
        ledger.counted(file, count)
    return shape, examples


def _labels(examples: Collection[Example], notes: list[str]) -> tuple[str, ...]:
    if several := under_several(examples):
        notes.append(several)
    return label_set(examples)


def _with_labels(examples: Iterable[Example], labels: tuple[str, ...]) -> list[Example]:
    return [replace(each, labels=labels) if isinstance(each, WITH_LABELS) else each for each in examples]


def _divide(
    examples: Collection[Example], ledger: Ledger, divisible: bool, folder: Path, labels: tuple[str, ...]
) -> None:
    """Writes each split's file. Raises Refused when nothing sets the split or one is empty."""
    counts = Counter(example.split for example in examples)
    if examples and set(counts) - set(SPLITS):
        raise Refused(
            "no transform says which rows are for training and which for the test",
            instead="add `split` to `data.transforms`: [dedup, split]",
        )
    empty = [split for split in SPLITS if not counts[split]]
    if empty:
        raise Refused(
            f"the {empty[0]} split is empty",
            why=", ".join(f"{split} {counts[split]}" for split in SPLITS) + f" of {len(examples)} examples",
            instead="divide the text into more rows: `by: paragraph` of `data.reader`"
            if divisible
            else "add rows: three that are no near-duplicates of each other are the least",
        )
    notes = {"labels": json.dumps(labels)}
    kind = type(next(iter(examples)))
    with ExitStack() as files:
        writers = {each: files.enter_context(stored.Writer(folder / f"{each}.parquet", kind, notes)) for each in SPLITS}
        for example in examples:
            writers[example.split].add(example)
            ledger.use(example.split, [example])
