"""`features`: a model's embeddings of a file as Parquet, and heads on them, judged beside what needs no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affina.core import kinds
from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Example, Labelled, Rated
from affina.core.gate import Gate
from affina.core.kinds import Embedded, Floats, Head, Vectors
from affina.core.say import Say, Silent
from affina.data.prepare import SPLITS, Prepared, prepare, read_examples
from affina.evaluation.answer import asker, usual
from affina.evaluation.askers import labelled, rated
from affina.evaluation.compare import compare
from affina.evaluation.gate import Standard, judge, rising
from affina.evaluation.measure import measure
from affina.evaluation.open import Opened, objection, open_model
from affina.evaluation.reach import reach
from affina.training import parquet, saved
from affina.training.chances import hedged
from affina.training.embedded import Where, recipe_for, vectors


@dataclass(frozen=True)
class Dealt:
    """What heads are learnt from and judged on: each split's examples and their embeddings."""

    examples: dict[str, list[Example]]
    vectors: dict[str, Vectors]
    model: str
    labels: tuple[str, ...]
    seed: int


def features(
    model: str,
    file: str,
    out: str | Path = "features.parquet",
    heads: Sequence[str | Head] = (),
    where: Where = Where(),  # noqa: B008  (frozen)
    say: Say | None = None,
) -> dict[str, Any]:
    """{"model", "rows", "width", "file", "items", "without", "heads": {name: {folder, metrics, verdict}}}.

    `file` is one of examples, or a recipe that says how they are read and split. Without heads every usable row is
    written and nothing is split. A head is kept in a folder beside `out`, named after both. Raises Refused for an
    unknown model or head, a file that cannot be used, and heads on rows that have neither class nor number.
    """
    say, out = say or Silent(), Path(out)
    parquet.require(out)
    chosen = [each if isinstance(each, Head) else kinds.heads.find(each)() for each in heads]
    opened = open_model(model, Path(where.root), where.offline, say, vectors=True)
    recipe = recipe_for(opened, file)
    if chosen:
        prepared = prepare(recipe, objection(opened), reach(Path(where.root), where.offline, say))
    else:
        prepared = read_examples(recipe.data, recipe.folder, objection(opened))
    for note in prepared.notes:
        say.line(note)
    examples = [each for held in prepared.examples.values() for each in held]
    if chosen:
        _learnable(examples)
    rows_ND = vectors(opened.model, examples, say)
    parquet.write(out, examples, rows_ND, {"model": model, "pooling": "mean", "normalised": "true"})
    found = {"model": model, "rows": len(examples), "width": rows_ND.shape[1], "file": str(out)}
    if not chosen:
        return {**found, "items": 0, "without": "", "heads": {}}
    dealt = _dealt(prepared, rows_ND, model, recipe.train.seed)
    without = type(asker(dealt.examples["test"])).without
    judged = {each.name: _judged(each, dealt, opened, out, say) for each in chosen}
    return {**found, "items": len(dealt.examples["test"]), "without": without, "heads": judged}


def _learnable(examples: Sequence[Example]) -> None:
    kind = type(examples[0])
    if kind not in (Labelled, Rated):
        raise Refused(
            f"a head cannot learn from {kind.__name__.lower()} examples",
            why="it says one class or one number",
            instead="give texts with a class or a number, or leave --head out",
        )


def _dealt(prepared: Prepared, rows_ND: Embedded, model: str, seed: int) -> Dealt:
    start, found, labels = 0, {}, prepared.labels
    for split in SPLITS:
        held = prepared.examples[split]
        right = [labels.index(each.label) if isinstance(each, Labelled) else _number(each) for each in held]
        part_ND = rows_ND[start : start + len(held)]
        found[split] = Vectors(part_ND, np.array(right, np.float64), len(labels))
        start += len(held)
    return Dealt(prepared.examples, found, model, labels, seed)


def _number(example: Example) -> float:
    assert isinstance(example, Rated), "what has no class has a number"
    return example.value


def _judged(head: Head, dealt: Dealt, opened: Opened, out: Path, say: Say) -> dict[str, Any]:
    """Learns on training rows, keeps the head, and answers the test rows: {"folder", "metrics", "verdict"}."""
    train, validation, test = (dealt.vectors[split] for split in SPLITS)
    say.line(f"{head.name}: learning from {len(train.targets_N):,} rows")
    learnt = head.fit(train, validation, dealt.seed)
    folder = out.with_name(f"{out.stem}.{head.name}")
    about = {
        "shelf": "heads", "part": kinds.heads.dump(head), "model": dealt.model, "reads": "vectors",
        "labels": [*dealt.labels],
    }  # fmt: skip
    saved.write(folder, about, learnt, opened.model)
    tuned = answered(dealt.examples["test"], head.answer(learnt, test.rows_ND), train)
    base = asker(dealt.examples["test"]).trivial(dealt.examples["train"], dealt.examples["test"])
    assert base is not None, "classes and numbers can be answered without a model"
    return {"folder": str(folder), **beside(base, tuned, usual(dealt.examples["test"]), dealt.seed)}


def answered(examples: Sequence[Any], found: Floats, train: Vectors) -> Answers:
    """A head's answers as the columns that metrics read."""
    if not train.classes:
        return rated.answered(examples, found[:, 0])
    target_N = np.array([each.labels.index(each.label) for each in examples], np.int64)
    return labelled.answered(examples, np.log(hedged(found, train)), target_N)


def beside(base: Answers, tuned: Answers, names: Sequence[str], seed: int) -> dict[str, Any]:
    """{"metrics": {name: {base, tuned, difference}}, "verdict"}: each with its interval, judged by the usual gate."""
    chosen, gate = [kinds.metrics.build(name) for name in names], Gate()
    differences = compare(base, tuned, chosen, gate.alpha, gate.power, seed)
    both = [measure(each, chosen, gate.alpha, seed) for each in (base, tuned)]
    metrics = {
        name: {"base": both[0][name].as_dict(), "tuned": both[1][name].as_dict(), "difference": found.as_dict()}
        for name, found in differences.items()
    }
    verdict = judge(gate, {"base": Standard("the base", differences)}, rising(chosen))
    return {"metrics": metrics, "verdict": verdict.as_dict()}
