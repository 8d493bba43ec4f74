"""What one number hides: every class, the confusion of classes, calibration, and the metrics of every slice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Example
from affina.core.kinds import Floats, Metric
from affina.evaluation.classes import confusion, counted
from affina.evaluation.measure import Estimate, measure
from affina.evaluation.slices import grouped, places_of, quarters
from affina.evaluation.statistics import bootstrap_weights, percentiles, wilson
from affina.evaluation.weighted import over

BINS = 10
"""Bins of the calibration curve."""
MOST_CLASSES = 200
"""Classes that are told one by one, the commonest first."""


def classes(answers: Answers, alpha: float, seed: int) -> dict[str, Any]:
    """{"classes": {label: {"items", "precision", "recall", "f1"}}, "confusion": {"labels", "counts"}}; empty where
    items have no class. Precision and recall have Wilson's interval, F1 the bootstrap's; where no resample moves it,
    what the ends of the other two make."""
    if answers.target_N is None:
        return {}
    labels, table_LL = confusion(answers)
    right_L, given_L, actual_L = np.split(counted(answers).sum(axis=0), 3)
    f1_BL = _f1(answers, seed)
    found = {}
    for place in np.argsort(-actual_L, kind="stable")[:MOST_CLASSES].tolist():
        f1 = float(over(2 * right_L, actual_L + given_L)[place])
        precision, recall = (_share(right_L[place], of_L[place], alpha) for of_L in (given_L, actual_L))
        low, high = percentiles(f1_BL[:, place], len(answers), alpha)
        if low == high:
            low, high = _harmonic(precision, recall)
        found[answers.labels[place]] = {
            "items": int(actual_L[place]),
            "precision": precision.as_dict(),
            "recall": recall.as_dict(),
            "f1": Estimate(f1, low, high, len(answers)).as_dict(),
        }
    return {"classes": found, "confusion": {"labels": list(labels), "counts": table_LL.tolist()}}


def calibration(answers: Answers, alpha: float) -> dict[str, Any]:
    """{"calibration": [{"low", "high", "n", "confidence", "accuracy": estimate}]}: of the items whose likeliest label
    has a probability in a bin, how often it is right; empty where there are no probabilities of one label."""
    if answers.chances_NL is None or answers.target_N is None:
        return {}
    confidence_N = answers.chances_NL.max(axis=1)
    right_N = answers.chances_NL.argmax(axis=1) == answers.target_N
    bin_N = np.clip(np.ceil(confidence_N * BINS) - 1, 0, BINS - 1).astype(np.int64)
    curve = []
    for number in np.unique(bin_N).tolist():
        inside = bin_N == number
        accuracy = _share(float(right_N[inside].sum()), float(inside.sum()), alpha)
        curve.append(
            {
                "low": number / BINS,
                "high": (number + 1) / BINS,
                "n": int(inside.sum()),
                "confidence": float(confidence_N[inside].mean()),
                "accuracy": accuracy.as_dict(),
            }
        )
    return {"calibration": curve}


def slices(
    answers: Answers,
    examples: Sequence[Example],
    metrics: Sequence[Metric],
    by: Sequence[str],
    design: tuple[float, int],
) -> dict[str, Any]:
    """{"slices": {grouping: {group: {"items", "metrics"}}}}: by kept columns, and by quarters of the lengths in letters
    of what is given and of what is right. The design is (alpha, seed). Raises Refused for a column that no example has.
    """
    alpha, seed = design
    asked, metrics = _asked(answers, examples), [each.settled(answers) for each in metrics]
    found: dict[str, dict[str, Any]] = {}
    for grouping, groups_N in _groupings(asked, by).items():
        names = sorted(set(groups_N))
        if len(names) < 2 and grouping not in by:
            continue
        found[grouping] = {}
        for group in names:
            part = answers.take(places_of(groups_N, group))
            measured = {name: each.as_dict() for name, each in measure(part, metrics, alpha, seed).items()}
            found[grouping][group] = {"items": len(part), "metrics": measured}
    return {"slices": found}


def _groupings(asked: Sequence[Example], by: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    for name in by:
        if not any(name in each.facts for each in asked):
            raise Refused(
                f"no example keeps the column '{name}'",
                why="slices are made of columns kept beside the examples",
                instead=f"name a column of the file, or write `keep: [{name}]` under `data` and train again",
            )
    found = {name: grouped([each.facts.get(name, "") for each in asked]) for name in by}
    return {
        **found,
        "length of what is given": quarters([len(each.given) for each in asked]),
        "length of what is right": quarters([len(each.target) for each in asked]),
    }


def _asked(answers: Answers, examples: Sequence[Example]) -> list[Example]:
    """The example of every item; a text may be several items, whose ids begin with its own."""
    by_id = {example.id: example for example in examples}
    return [by_id[id] if id in by_id else by_id[id.rpartition("#")[0]] for id in answers.ids]


def _harmonic(precision: Estimate, recall: Estimate) -> tuple[float, float]:
    """F1 of both lower ends and of both upper ones; of what nothing is known anything may be."""
    ends = [(max(each.low, 0.0), min(each.high, 1.0)) for each in (precision, recall)]
    low, high = (2 * p * r / (p + r) if p + r else 0.0 for p, r in zip(*ends, strict=True))
    return low, high


def _share(right: float, of: float, alpha: float) -> Estimate:
    """A share of so many items; nothing is known of none."""
    if not of:
        return Estimate(float("nan"), -np.inf, np.inf, 0)
    low, high = wilson(right, of, alpha)
    return Estimate(float(right / of), float(low), float(high), int(of))


def _f1(answers: Answers, seed: int) -> Floats:
    """[B, L] every class's F1 in every resample."""
    counts_NC = counted(answers)
    found = []
    for weights_BN in bootstrap_weights(len(answers), seed):
        right_BL, given_BL, actual_BL = np.split(weights_BN @ counts_NC, 3, axis=1)
        found.append(over(2 * right_BL, given_BL + actual_BL))
    return np.concatenate(found)
