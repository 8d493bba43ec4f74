"""`anomaly`: learns what is normal from normal rows alone, and calibrates how often a normal row may raise an alarm."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affina.core import kinds
from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Example, Labelled
from affina.core.gate import Gate
from affina.core.kinds import Arrays, Desk, Floats, Novelty
from affina.core.recipe import Recipe
from affina.core.say import Say, Silent
from affina.data.prepare import SPLITS, read_examples
from affina.evaluation.conformal import needed, p_values, spread, threshold
from affina.evaluation.measure import Estimate
from affina.evaluation.open import Opened, objection, open_model
from affina.evaluation.statistics import wilson
from affina.training import saved
from affina.training.embedded import READS, Where, recipe_for
from affina.training.features import beside

KINDS = ("normal", "anomaly")
CALIBRATION = "calibration"
LEAST_SPREAD = 1e-6
"""Standard deviation of embeddings of unit length; rounding of bf16 alone is larger where texts differ at all."""


@dataclass(frozen=True)
class Watch:
    """What is normal, how strangeness is told, and how often a normal row may be called strange."""

    normal: str = ""
    """The class of normal rows, where rows have one."""
    novelty: str | Novelty = "neighbour"
    alarm: float = 0.05
    """The share of normal rows that may be flagged."""
    on: str | None = None
    """A file of rows with a class to measure on, in place of the test split."""


@dataclass(frozen=True)
class Detector:
    """What was learnt and calibrated."""

    novelty: Novelty
    learnt: Arrays
    calibration_M: Floats
    alarm: float

    def flags(self, rows_ND: Floats) -> tuple[Floats, Floats]:
        """[N] scores, and [N] p-values: a row is an anomaly where its p is at most `alarm`."""
        scores_N = self.novelty.score(self.learnt, rows_ND)
        return scores_N, p_values(self.calibration_M, scores_N)


def anomaly(
    model: str,
    file: str,
    out: str | Path = "detector",
    how: Watch = Watch(),
    where: Where = Where(),  # noqa: B008  (frozen)
    say: Say | None = None,
) -> dict[str, Any]:
    """{"model", "novelty", "folder", "alarm", "threshold", "spread", "rows", "measured"}: kept in the folder `out`.

    Training rows teach, validation rows calibrate, normal ones alone; the test split or `how.on` measures where it has
    normal rows and others. Raises Refused for what cannot work, saying how many rows a rate needs.
    """
    say = say or Silent()
    part = _part(how)
    opened = _opened(model, part, where, say)
    splits = _splits(opened, recipe_for(opened, file), how, say)
    test = splits["test"] if how.on is None else _tested(opened, how)
    _measurable(test, how)
    detector = _learnt(part, splits, opened, how, say)
    about = {
        "shelf": "novelty", "part": kinds.novelties.dump(part), "model": model, "reads": part.reads,
        "alarm": how.alarm,
    }  # fmt: skip
    saved.write(Path(out), about, {**detector.learnt, CALIBRATION: detector.calibration_M}, opened.model)
    calibrated = len(detector.calibration_M)
    rows = {"learnt": len(splits["train"]) if part.learns else 0, "calibrated": calibrated, "test": len(test)}
    found = {"model": model, "novelty": part.name, "folder": str(out), "alarm": how.alarm, "rows": rows}
    found |= {"threshold": threshold(detector.calibration_M, how.alarm), "spread": [*spread(calibrated, how.alarm)]}
    return {**found, "measured": _measured(detector, test, opened, how, say) if test else None}


def _learnt(part: Novelty, splits: dict[str, list[Example]], opened: Opened, how: Watch, say: Say) -> Detector:
    """Raises Refused where no normal row can be told from another."""
    learning, calibrating = (splits[each] if each != "train" or part.learns else [] for each in SPLITS[:2])
    normal_ND = _read(part, learning, opened, say) if learning else np.zeros((0, 1))
    if learning and float(normal_ND.std(axis=0).max()) < LEAST_SPREAD:
        raise Refused(
            "no row can be told from another",
            why="the embeddings of all normal rows are the same",
            instead="give texts that differ, or choose another model",
        )
    learnt = part.fit(normal_ND)
    return Detector(part, learnt, part.score(learnt, _read(part, calibrating, opened, say)), how.alarm)


def _read(part: Novelty, examples: Sequence[Example], opened: Opened, say: Say) -> Floats:
    return np.asarray(READS[part.reads](opened.model, examples, say), np.float64)


def _part(how: Watch) -> Novelty:
    if not 0 < how.alarm < 1:
        raise Refused(f"a false-alarm rate of {how.alarm:g} means nothing", instead="give a share such as 0.05")
    return how.novelty if isinstance(how.novelty, Novelty) else kinds.novelties.find(how.novelty)()


def _opened(model: str, part: Novelty, where: Where, say: Say) -> Opened:
    opened = open_model(model, Path(where.root), where.offline, say, vectors=part.reads == "vectors")
    ending = (opened.objective.head, opened.objective.reads)
    if part.reads == "nats" and ending != ("words", "past"):
        raise Refused(
            f"{model} has no perplexity", "it does not predict each token from those before it", "choose mahalanobis"
        )
    return opened


def _splits(opened: Opened, recipe: Recipe, how: Watch, say: Say) -> dict[str, list[Example]]:
    """Normal rows to learn from and to calibrate on; all test rows where rows have a class. Raises Refused."""
    prepared = read_examples(recipe.data, recipe.folder, objection(opened))
    for note in prepared.notes:
        say.line(note)
    examples = prepared.examples["all"]
    desk = Desk(prepared.ledger, recipe.train.seed, recipe.folder)
    for transform in recipe.data.transforms:
        examples = list(transform.apply(examples, desk))
    _named(examples, prepared.labels, how)
    splits = {split: [each for each in examples if each.split == split] for split in SPLITS}
    for split in SPLITS[:2]:
        splits[split] = [each for each in splits[split] if _normal(each, how)]
    if not any(isinstance(each, Labelled) for each in examples):
        splits["test"] = []
    _enough(splits, how)
    return splits


def _named(examples: Sequence[Example], labels: tuple[str, ...], how: Watch) -> None:
    """Raises Refused where rows have classes and the normal one is not said, or is none of them."""
    if all(isinstance(each, Labelled) for each in examples):
        if how.normal not in labels:
            asked = f"no row is '{how.normal}'" if how.normal else "rows have classes, and which is normal is not said"
            raise Refused(asked, why=f"the classes are {', '.join(labels)}", instead="name one of them with --normal")
    elif how.normal and how.on is None:
        raise Refused(
            f"no row is '{how.normal}'", "rows have no class", "leave --normal out: all of them are taken as normal"
        )


def _normal(example: Example, how: Watch) -> bool:
    return not isinstance(example, Labelled) or example.label == how.normal


def _enough(splits: dict[str, list[Example]], how: Watch) -> None:
    learnt, calibrated, least = len(splits["train"]), len(splits["validation"]), needed(how.alarm)
    if learnt < 2:
        raise Refused(f"{learnt} normal rows are in the training split", "two are the least", "give more normal rows")
    if calibrated < least:
        rows = f"about {-(-least * (learnt + calibrated) // max(1, calibrated)):,} normal rows outside the test split"
        raise Refused(
            f"a false-alarm rate of {how.alarm:g} needs {least:,} normal rows to calibrate on",
            why=f"the validation split has {calibrated:,}",
            instead=f"give {rows}, a larger share to validation, or a rate of {1 / (calibrated + 1):.2g} or more",
        )


def _tested(opened: Opened, how: Watch) -> list[Example]:
    assert how.on is not None
    if not how.normal:
        raise Refused(f"{how.on} cannot measure a detector", "which class is normal is not said", "give --normal CLASS")
    recipe = recipe_for(opened, how.on)
    found = read_examples(recipe.data, recipe.folder, objection(opened)).examples["all"]
    if not all(isinstance(each, Labelled) for each in found):
        raise Refused(f"{how.on} cannot measure a detector", "its rows have no class", "give texts with a class")
    return found


def _measurable(test: Sequence[Example], how: Watch) -> None:
    """Raises Refused where the rows to measure on are all normal or all strange."""
    normal = sum(_normal(each, how) for each in test)
    if test and normal in (0, len(test)):
        which = f"all '{how.normal}'" if normal else f"none of them '{how.normal}'"
        raise Refused(
            "the detector cannot be measured",
            why=f"the {len(test)} rows to measure on are {which}",
            instead="give normal rows and others, in the file or with --on FILE",
        )


def _measured(detector: Detector, test: Sequence[Example], opened: Opened, how: Watch, say: Say) -> dict[str, Any]:
    """{"metrics", "verdict"} of the order of scores beside none at all; "recall", "false_alarms" at the threshold."""
    scores_N, p_N = detector.flags(_read(detector.novelty, test, opened, say))
    strange_N = np.array([not _normal(each, how) for each in test])
    flagged_N, gate = p_N <= how.alarm, Gate()
    ranked = _answers(test, strange_N, np.unique(scores_N, return_inverse=True)[1] + np.float64(1), flagged_N)
    alike = _answers(test, strange_N, np.ones(len(test)), np.zeros(len(test), np.bool_))
    shares = {}
    for name, of_N in (("recall", strange_N), ("false_alarms", ~strange_N)):
        low, high = wilson(flagged_N[of_N].sum(), of_N.sum(), gate.alpha)
        shares[name] = Estimate(float(flagged_N[of_N].mean()), float(low), float(high), int(of_N.sum())).as_dict()
    return {**beside(alike, ranked, ("roc_auc", "pr_auc"), 0), **shares}


def _answers(test: Sequence[Example], strange_N: Any, order_N: Floats, flagged_N: Any) -> Answers:
    """As answers of two classes: metrics of order see only which score is larger, so its place stands for a chance."""
    chance_N, target_N = order_N / (order_N.max() + 1), strange_N.astype(np.int64)
    chances_NL = np.column_stack([1 - chance_N, chance_N])
    return Answers(
        ids=tuple(each.id for each in test),
        nats_N=-np.log(chances_NL[np.arange(len(test)), target_N]),
        tokens_N=np.ones(len(test)),
        labels=KINDS,
        target_N=target_N,
        predicted_N=flagged_N.astype(np.int64),
        chances_NL=chances_NL,
    )
