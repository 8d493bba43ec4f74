"""From a recipe to examples in three splits, every input row accounted for; torch is never imported."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from affina.core.errors import Refused, nearest
from affina.core.example import Example, Labelled, MultiLabelled, Tagged
from affina.core.kinds import Desk, Record, Shape, Unusable, describe_columns
from affina.core.recipe import Data, Recipe
from affina.data import encoding
from affina.data.columns import MissingColumn
from affina.data.files import listed, sha256, short_names
from affina.data.ledger import Ledger
from affina.data.recognise import readings, shape_for

SPLITS = ("train", "validation", "test")
WITH_LABELS = (Labelled, MultiLabelled, Tagged)


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


Objection = Callable[[Example], str]
"""Why an example cannot be used, in a sentence; empty when it can."""


def prepare(recipe: Recipe, objection: Objection | None = None) -> Prepared:
    """Reads, recognises, transforms and splits; what there is an `objection` to is quarantined. The ledger adds up.

    Raises Refused for unreadable files, an unknown shape, no usable row, a single class, a missing or an empty split.
    """
    files, records, ledger, notes, used = _read(recipe.data, recipe.folder)
    shape, examples = _shaped(recipe.data, records, ledger, notes, objection)
    desk = Desk(ledger, recipe.train.seed, recipe.folder, notes=notes)
    for transform in recipe.data.transforms:
        examples = list(transform.apply(examples, desk))
    examples, labels = _labelled(examples, notes)
    _refuse_one_class(examples, labels)
    splits = _divided(examples, used == {"text"})
    ledger.use(splits)
    ledger.reconcile()
    return Prepared(splits, ledger, shape, files, labels, tuple(notes))


def read_examples(data: Data, folder: Path, objection: Objection | None = None) -> Prepared:
    """Every usable row of `data.read` under the key `all`, no transform applied: what a file is evaluated on."""
    files, records, ledger, notes, _ = _read(data, folder)
    shape, examples = _shaped(data, records, ledger, notes, objection)
    examples, labels = _labelled(examples, notes)
    ledger.use({"all": examples})
    ledger.reconcile()
    return Prepared({"all": examples}, ledger, shape, files, labels, tuple(notes))


class _Found(NamedTuple):
    """What the files hold: each one's hash, every record with the id its example will have, and by which readers."""

    files: dict[str, str]
    records: list[tuple[str, Record]]
    ledger: Ledger
    notes: list[str]
    readers: set[str]


def _read(data: Data, folder: Path) -> _Found:
    paths, notes = listed(data.read, folder, data.reader)
    names, ledger = short_names(paths), Ledger(data.on_bad)
    found: list[tuple[str, Record]] = []
    reasons: dict[str, list[str]] = {}
    used: set[str] = set()
    for reading in readings(paths, data.reader):
        first = reading.paths[0]
        used.add(reading.reader.name)
        reasons.setdefault(reading.reason, []).append(names[first])
        if "encoding" in type(reading.reader).model_fields and getattr(data.reader, "encoding", None) is None:
            notes += filter(None, [encoding.detect(path).note for path in reading.paths])
        records = list(_numbered(names[first], reading.records()))
        ledger.read(str(first), len(records))
        found += records
    for reason, told in reasons.items():
        notes.append(f"{told[0]}{f' and {len(told) - 1} more' if len(told) > 1 else ''}: {reason}")
    return _Found({names[path]: sha256(path) for path in paths}, found, ledger, notes, used)


def _numbered(name: str, records: Iterator[Record]) -> Iterator[tuple[str, Record]]:
    """`file:line`; further records that start on the same line (JSON without line ends) get `.2`, `.3` …"""
    times: Counter[int] = Counter()
    for record in records:
        times[record.line] += 1
        turn = times[record.line]
        yield f"{name}:{record.line}{f'.{turn}' if turn > 1 else ''}", record


def _shaped(
    data: Data, records: Sequence[tuple[str, Record]], ledger: Ledger, notes: list[str], objection: Objection | None
) -> tuple[Shape, list[Example]]:
    """Every record as an example or in quarantine. Raises Refused when nothing is left."""
    examples: list[Example] = []
    missing: Counter[str] = Counter()
    objected = 0
    shape = data.shape
    if shape is None and any(not record.problem for _, record in records):
        shape, reason = shape_for([record for _, record in records])
        notes.append(reason)
    for id, record in records:
        if record.problem or shape is None:
            ledger.quarantine(record, record.problem)
            continue
        try:
            example = replace(shape.example(record), id=id)
            if objection and (reason := objection(example)):
                objected += 1
                raise Unusable(reason)
            examples.append(example)
        except MissingColumn as error:
            missing[error.column] += 1
            ledger.quarantine(record, str(error))
        except Unusable as error:
            ledger.quarantine(record, str(error))
    if shape is None or not examples:
        raise _nothing_left([record for _, record in records], missing, objected, ledger)
    return shape, examples


def _nothing_left(records: Sequence[Record], missing: Counter[str], objected: int, ledger: Ledger) -> Refused:
    sound = [record for record in records if not record.problem]
    columns = describe_columns(sound)
    if missing and missing.total() == len(sound):
        column = missing.most_common(1)[0][0]
        return Refused(
            f"no column is called '{column}'",
            why=f"the columns are {', '.join(columns) or 'none: the rows are plain text'}",
            instead=f"{_meant(column, columns)}name the columns under `data.shape`",
            where=records[0].file,
        )
    remedies = ["mend the file"] if objected < len(sound) or not sound else ["mend the texts, or choose another base"]
    if columns and objected < len(sound):
        remedies.append("or name its columns under `data.shape`")
    reasons = "; ".join(f"{times} × {reason}" for reason, times in ledger.reasons()[:5])
    return Refused(
        "no usable row is left",
        why=f"{len(records)} were read and all were set aside: {reasons}" if records else "there are no rows",
        instead=", ".join(remedies),
        where=records[0].where if records else "",
    )


def _meant(column: str, columns: Sequence[str]) -> str:
    """A question that offers the nearest column; empty when none is near."""
    close = nearest(column, [*columns])
    return f"{close} " if close.endswith("?") else ""


def _labelled(examples: list[Example], notes: list[str]) -> tuple[list[Example], tuple[str, ...]]:
    """Gives every labelled example the whole label set, and notes texts that stand under several labels."""
    labels = tuple(sorted({label for example in examples for label in _own_labels(example)}))
    under: dict[str, set[str]] = {}
    shared: list[Example] = []
    for example in examples:
        if isinstance(example, Labelled):
            under.setdefault(" ".join(example.text.split()), set()).add(example.label)
        shared.append(replace(example, labels=labels) if isinstance(example, WITH_LABELS) else example)
    several = [text for text, found in under.items() if len(found) > 1]
    if several:
        notes.append(f"{len(several)} texts stand under more than one label, for example: {several[0][:80]!r}")
    return shared, labels


def _own_labels(example: Example) -> tuple[str, ...]:
    if isinstance(example, Labelled):
        return (example.label,)
    if isinstance(example, MultiLabelled):
        return example.right
    return example.tags if isinstance(example, Tagged) else ()


def _refuse_one_class(examples: Sequence[Example], labels: Sequence[str]) -> None:
    """Raises Refused where every answer is the same: there is nothing to tell apart."""
    asked = isinstance(examples[0], WITH_LABELS) if examples else False
    sets = {each.right for each in examples if isinstance(each, MultiLabelled)}
    if not asked or (len(sets) > 1 if sets else len(labels) > 1):
        return
    told = f"'{', '.join(labels)}'" if labels else "without a class"
    raise Refused("there is only one class to learn", why=f"every usable row is {told}", instead="add rows of others")


def _divided(examples: Sequence[Example], divisible: bool) -> dict[str, list[Example]]:
    """Examples by split. Raises Refused when nothing sets the split or one is empty; `divisible`: they are of text that
    can be divided into smaller rows."""
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for example in examples:
        if example.split not in splits:
            raise Refused(
                "no transform says which rows are for training and which for the test",
                instead="add `split` to `data.transforms`: [dedup, split]",
            )
        splits[example.split].append(example)
    empty = [split for split, held in splits.items() if not held]
    if empty:
        raise Refused(
            f"the {empty[0]} split is empty",
            why=", ".join(f"{split} {len(held)}" for split, held in splits.items()) + f" of {len(examples)} examples",
            instead="divide the text into more rows: `reader: {name: text, by: paragraph}`"
            if divisible
            else "add rows: three that are no near-duplicates of each other are the least",
        )
    return splits
