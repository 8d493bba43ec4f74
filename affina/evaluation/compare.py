"""Two models' answers to the same items: paired differences, intervals, p and what was detectable."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.kinds import Floats, Ints, Metric
from affina.evaluation.flips import moves
from affina.evaluation.measure import finite, is_share, light, validate
from affina.evaluation.statistics import (
    agresti_min,
    bootstrap,
    bootstrap_interval,
    bootstrap_mean,
    bootstrap_weights,
    detectable,
    exchange_p,
    fewest,
    holm,
    mcnemar,
    permutation_p,
    sign_flip_p,
)
from affina.evaluation.weighted import Weighted

MATCHED = "Agresti–Min interval, exact McNemar test"
MEANS = "paired bootstrap of the mean, sign-flip test"
RESAMPLED = "paired bootstrap, permutation test"
COUNTED = ("label", "labels", "tags", "text")
"""What a metric reads that is right or wrong, not more or less."""
RIGHT = ("target_N", "truth_NL", "expected", "references", "value_N", "tags")
"""The columns that do not depend on the model."""
K = TypeVar("K")
OTHER_TOKENS = "not comparable: the two models count the targets in different tokens"


@dataclass(frozen=True, slots=True)
class Difference:
    """b - a in the metric's own units, on n items that both models answered."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided."""
    detectable: float
    """The smallest true difference that this many items show with the asked power."""
    n: int
    method: str
    better: float
    """The same difference with the sign of better: positive when b is better, whichever way the metric runs."""

    @property
    def comparable(self) -> bool:
        return math.isfinite(self.value)

    def as_dict(self) -> dict[str, float | int | str | None]:
        """Plain data; what is not a finite number is None, which JSON can hold."""
        return {key: value if isinstance(value, str) else finite(value) for key, value in asdict(self).items()}


def compare(
    a: Answers, b: Answers, metrics: Sequence[Metric], alpha: float, power: float, seed: int
) -> dict[str, Difference]:
    """Every metric's paired difference b - a by name. Raises Refused when the two did not answer the same items."""
    validate(a)
    validate(b)
    a, b = aligned(a, b)
    return {metric.name: _difference(a, b, metric, (alpha, power, seed)) for metric in metrics}


def adjusted(differences: Mapping[K, Difference]) -> dict[K, float | None]:
    """Each metric's p corrected for all of those measured (Holm); None for what cannot be compared."""
    known = {name: found.p for name, found in differences.items() if found.comparable}
    corrected = dict(zip(known, holm([*known.values()]), strict=True))
    return {name: corrected.get(name) for name in differences}


def _difference(a: Answers, b: Answers, metric: Metric, design: tuple[float, float, int]) -> Difference:
    alpha, power, seed = design
    if metric.reads in ("nats", "words") and not np.array_equal(a.tokens_N, b.tokens_N):
        return Difference(math.nan, -math.inf, math.inf, 1.0, math.inf, len(a), OTHER_TOKENS, math.nan)
    each_a, each_b = metric.each(a), metric.each(b)
    if each_a is None or each_b is None:
        value, low, high, p, se, method = _resampled(light(a, metric), light(b, metric), metric, alpha, seed)
    elif is_share(each_a) and is_share(each_b):
        value, low, high, p, se, method = matched(each_a, each_b, alpha)
    else:
        value, low, high, p, se, method = means(each_b - each_a, alpha, seed)
    better = value if metric.higher_is_better else -value
    return Difference(value, low, high, p, detectable(se, alpha, power), len(a), method, better)


Found = tuple[float, float, float, float, float, str]
"""value, low, high, p, standard error, method."""


def matched(each_a: Floats, each_b: Floats, alpha: float) -> Found:
    """The difference of two shares of the same items.

    Of few items the interval may leave 0 out where the exact test does not; it is then widened to 0, so that equal
    models are told apart no oftener than the exact test tells them apart.
    """
    n, gained, lost = len(each_a), int((each_b > each_a).sum()), int((each_b < each_a).sum())
    low, high, se = agresti_min(gained, lost, n, alpha)
    if (p := mcnemar(gained, lost)) > alpha:
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    return (gained - lost) / n, float(low), float(high), p, float(se), MATCHED


def means(differences_N: Floats, alpha: float, seed: int) -> Found:
    """The mean of differences by item. A few that are all the same tell no spread."""
    value, n = float(differences_N.mean()), len(differences_N)
    if value and n < fewest(alpha) and not np.ptp(differences_N):
        return value, -math.inf, math.inf, sign_flip_p(differences_N, seed), math.inf, MEANS
    low, high, se = bootstrap_interval(value, bootstrap_mean(differences_N, seed), n, alpha)
    return value, low, high, sign_flip_p(differences_N, seed), se, MEANS


def _resampled(a: Answers, b: Answers, metric: Metric, alpha: float, seed: int) -> Found:
    """Both models' items are resampled together, and exchanged item by item for the test."""
    n, value = len(a), metric.value(b) - metric.value(a)
    drawn_B, p = _weighed(a, b, metric, seed) if isinstance(metric, Weighted) else _retaken(a, b, metric, seed)
    low, high, se = bootstrap_interval(value, drawn_B, n, alpha, _unseen_se(a, b, metric))
    return value, low, high, p, se, RESAMPLED


def _unseen_se(a: Answers, b: Answers, metric: Metric) -> float:
    """Such metrics see only which items changed their answer: when none did, one more item could still have, which is
    what Agresti and Min's half items say for accuracy. An item of a rare class weighs more. Scores are continuous:
    equal ones come from equal models."""
    if metric.reads not in COUNTED:
        return 0.0
    n, most = len(a), max(abs(move) for each in (a, b) for move in moves(light(each, metric), metric))
    return max(1.0, n * most) / (n + 2)


def _retaken(a: Answers, b: Answers, metric: Metric, seed: int) -> tuple[Floats, float]:
    """Resampled differences and p, each computed from its own columns."""

    def resampled(index_N: Ints) -> float:
        return metric.value(b.take(index_N)) - metric.value(a.take(index_N))

    def exchanged(exchange_N: npt.NDArray[np.bool_]) -> float:
        return metric.value(_mixed(b, a, exchange_N)) - metric.value(_mixed(a, b, exchange_N))

    return bootstrap(resampled, len(a), seed), permutation_p(exchanged, len(a), seed)


def _weighed(a: Answers, b: Answers, metric: Weighted, seed: int) -> tuple[Floats, float]:
    """The same at once: of both models' answers in one list, one model's weigh as often as they were drawn."""
    of, n = metric.of(a.joined(b)), len(a)

    def difference(first_BN: Floats, second_BN: Floats) -> Floats:
        """Where a's items weigh `first` and b's `second`, less the other way round."""
        return of(np.hstack([first_BN, second_BN])) - of(np.hstack([second_BN, first_BN]))

    drawn = [difference(np.zeros_like(weights_BN), weights_BN) for weights_BN in bootstrap_weights(n, seed)]
    return np.concatenate(drawn), exchange_p(lambda exchange_BN: difference(exchange_BN, 1 - exchange_BN), n, seed)


def _mixed(own: Answers, other: Answers, exchange_N: npt.NDArray[np.bool_]) -> Answers:
    """One model's answers with the other's at the exchanged items."""
    n = len(own)
    return own.joined(other).take(np.arange(n) + n * exchange_N)


def aligned(a: Answers, b: Answers) -> tuple[Answers, Answers]:
    """Both in the order of a's items, with one label set. Raises Refused when items or right answers differ."""
    shared = len(set(a.ids) & set(b.ids))
    if not shared == len(a) == len(b):
        raise Refused(
            "the two models did not answer the same items",
            why=f"{len(a)} and {len(b)} items, {shared} of them shared",
            instead="evaluate both on the same split",
        )
    if a.ids != b.ids:
        place = {id: index for index, id in enumerate(b.ids)}
        b = b.take(np.array([place[id] for id in a.ids], dtype=np.int64))
    if a.labels != b.labels:
        labels = tuple(sorted({*a.labels, *b.labels}))
        a, b = _relabelled(a, labels), _relabelled(b, labels)
    for name in RIGHT:
        right_a, right_b = getattr(a, name), getattr(b, name)
        if right_a is None or right_b is None:
            continue
        unlike = next((n for n in range(len(a)) if not np.array_equal(right_a[n], right_b[n])), None)
        if unlike is not None:
            raise Refused(
                "the two models were not asked the same questions",
                why=f"the right answer of {a.ids[unlike]} differs between them",
                instead="evaluate both on the same split",
            )
    return a, b


def _relabelled(answers: Answers, labels: tuple[str, ...]) -> Answers:
    """The same answers, their labels' indices counted in another list that holds them all."""
    # The last place stands for -1, an answer outside the known labels.
    moved = np.array([*(labels.index(label) for label in answers.labels), -1], dtype=np.int64)
    target_N, predicted_N = answers.target_N, answers.predicted_N
    # A label that this model does not know has no chance and is never right.
    known = [answers.labels.index(label) if label in answers.labels else -1 for label in labels]

    def spread(column_NL: Any) -> Any:
        return None if column_NL is None else np.pad(column_NL, ((0, 0), (0, 1)))[:, known]

    return replace(
        answers,
        labels=labels,
        target_N=None if target_N is None else moved[target_N],
        predicted_N=None if predicted_N is None else moved[predicted_N],
        chances_NL=spread(answers.chances_NL),
        truth_NL=spread(answers.truth_NL),
    )
