"""Intervals, paired tests and sample sizes as pure functions of numbers; every random one is a function of its seed.

Axes: N items · B resamples. `alpha` is two-sided everywhere.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from affina.core.kinds import Floats, Ints

RESAMPLES = 4000
"""Resamples of every bootstrap and permutation test: a p-value of 0.05 is then known to ± 0.007."""
_CELLS = 2_000_000
"""Numbers drawn at a time, so that memory does not grow with N."""


def normal_quantile(probability: float) -> float:
    """z with P(Z ≤ z) = probability for a standard normal Z."""
    return float(stats.norm.ppf(probability))


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike, alpha: float) -> tuple[Floats, Floats]:
    """Score interval of a proportion, elementwise; never outside [0, 1] and never of no width (Wilson, 1927)."""
    z2 = normal_quantile(1 - alpha / 2) ** 2
    n, share = np.asarray(n, np.float64), np.asarray(successes, np.float64) / np.asarray(n, np.float64)
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At the ends the exact bounds are 0 and 1; rounding must not leave them a hair inside.
    return np.where(share == 0, 0.0, centre - half), np.where(share == 1, 1.0, centre + half)


def agresti_min(
    gained: npt.ArrayLike, lost: npt.ArrayLike, n: npt.ArrayLike, alpha: float
) -> tuple[Floats, Floats, Floats]:
    """Interval (low, high) and standard error of a difference of matched proportions, elementwise.

    `gained` items are right only with the second model, `lost` only with the first. Wald's interval after adding half
    an item to each of the four cells, so that no discordant item does not mean no uncertainty
    (Agresti and Min, Statistics in Medicine 24, 2005: "Wald+2").
    """
    total = np.asarray(n, np.float64) + 2
    up, down = np.asarray(gained, np.float64) + 0.5, np.asarray(lost, np.float64) + 0.5
    difference = (up - down) / total
    se = np.sqrt(up + down - (up - down) ** 2 / total) / total
    half = normal_quantile(1 - alpha / 2) * se
    return np.maximum(difference - half, -1.0), np.minimum(difference + half, 1.0), se


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p that gains and losses are equally likely (McNemar, 1947; the binomial form)."""
    return float(stats.binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def bootstrap(statistic: Callable[[Ints], float], n: int, seed: int, resamples: int = RESAMPLES) -> Floats:
    """[B] the statistic of items drawn with replacement; it is given their indices (Efron, 1979)."""
    draws = np.random.default_rng(seed)
    return np.array([statistic(draws.integers(0, n, n)) for _ in range(resamples)])


def bootstrap_mean(values_N: Floats, seed: int, resamples: int = RESAMPLES) -> Floats:
    """[B] means of items drawn with replacement; the same draws as `bootstrap` at the same seed."""
    draws = np.random.default_rng(seed)
    n = len(values_N)
    return np.concatenate([values_N[draws.integers(0, n, (rows, n))].mean(axis=1) for rows in _chunks(n, resamples)])


def bootstrap_weights(n: int, seed: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """[B, N] how often each item was drawn, some resamples at a time; the draws of `bootstrap` at the same seed."""
    draws = np.random.default_rng(seed)
    for rows in _chunks(n, resamples):
        places_BN = draws.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(places_BN.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def percentiles(resampled_B: Floats, n: int, alpha: float) -> tuple[float, float]:
    """Bootstrap interval (low, high) that stays in the statistic's own range: percentiles, widened for small n.

    The level is taken from Student's t and the spread's n / (n - 1), both of which plain percentiles miss ("expanded
    percentile", Hesterberg, The American Statistician 69, 2015). One item gives no spread: then it is everything.
    """
    if n < 2:
        return -math.inf, math.inf
    tail = stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(1 - alpha / 2, n - 1))
    low, high = np.quantile(resampled_B, [tail, 1 - tail])
    return float(low), float(high)


def around(value: float, resampled_B: Floats, n: int, alpha: float) -> tuple[float, float]:
    """`percentiles`, widened to the value itself: a number that resampling moves to one side, as it does a calibration
    error or the largest of several gaps, may lie outside of them."""
    low, high = percentiles(resampled_B, n, alpha)
    return min(low, value), max(high, value)


def bootstrap_interval(
    value: float, resampled_B: Floats, n: int, alpha: float, unseen_se: float = 0.0
) -> tuple[float, float, float]:
    """Interval (low, high) and standard error for a decision: the hull of `percentiles` and of value ± t·se.

    No percentile lies outside what was drawn, so that a handful of items would look certain; Student's t keeps the
    level there. `unseen_se` is what one more item would add that no resample shows.
    """
    low, high = percentiles(resampled_B, n, alpha)
    if n < 2:
        return low, high, math.inf
    se = math.hypot(float(resampled_B.std()) * math.sqrt(n / (n - 1)), unseen_se)
    half = float(stats.t.ppf(1 - alpha / 2, n - 1)) * se
    return min(low, value - half), max(high, value + half), se


def permutation_p(
    statistic: Callable[[npt.NDArray[np.bool_]], float], n: int, seed: int, resamples: int = RESAMPLES
) -> float:
    """Two-sided p of a paired statistic when each item's two answers are exchanged at random.

    The statistic is given which items to exchange. The observed arrangement counts as one of them, so p is never 0
    (Phipson and Smyth, 2010).
    """
    draws = np.random.default_rng(seed)
    observed = abs(statistic(np.zeros(n, np.bool_)))
    reached = sum(_reaches(statistic(draws.random(n) < 0.5), observed) for _ in range(resamples))
    return float((1 + reached) / (1 + resamples))


def exchange_p(statistic: Callable[[Floats], Floats], n: int, seed: int, resamples: int = RESAMPLES) -> float:
    """`permutation_p` of a statistic of many arrangements at once: it is given [B, N], 1 where an item is exchanged."""
    draws = np.random.default_rng(seed)
    observed = abs(float(statistic(np.zeros((1, n)))[0]))
    exchanges = ((draws.random((rows, n)) < 0.5).astype(np.float64) for rows in _chunks(n, resamples))
    reached = sum(int(_reaches(statistic(exchange_BN), observed).sum()) for exchange_BN in exchanges)
    return (1 + reached) / (1 + resamples)


def sign_flip_p(differences_N: Floats, seed: int, resamples: int = RESAMPLES) -> float:
    """`permutation_p` of a mean of per-item differences, all resamples at once (Fisher, 1935)."""
    draws = np.random.default_rng(seed)
    n = len(differences_N)
    observed = abs(float(differences_N.sum()))
    reached = 0
    for rows in _chunks(n, resamples):
        signs_BN = np.where(draws.random((rows, n)) < 0.5, -1.0, 1.0)
        reached += int(_reaches(signs_BN @ differences_N, observed).sum())
    return (1 + reached) / (1 + resamples)


def detectable(se: float, alpha: float, power: float) -> float:
    """The smallest true difference that a two-sided test at `alpha` finds with probability `power`.

    (z_{1-α/2} + z_power)·se, the standard error being the same there (Cohen, 1988).
    """
    return (normal_quantile(1 - alpha / 2) + normal_quantile(power)) * se


def n_needed(n: int, detectable: float, margin: float) -> int | None:
    """Items after which a difference of `margin` is detectable, the standard error falling as 1/sqrt(n).

    None when nothing is known of the spread.
    """
    return math.ceil(n * (detectable / margin) ** 2 - 1e-9) if math.isfinite(detectable) else None


def fewest(alpha: float) -> int:
    """Items below which an exact paired test finds nothing at `alpha`, whatever they say: 2 · 0.5ⁿ ≤ α."""
    return math.ceil(1 + math.log2(1 / alpha))


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p adjusted for all of them, in their order: that a true null is at most α anywhere has probability ≤ α.

    The k-th smallest of m is multiplied by m - k + 1, and none is below one that was smaller.
    """
    adjusted, least = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def _reaches(value: npt.ArrayLike, observed: float) -> npt.NDArray[np.bool_]:
    # The same arrangement summed in another order must count as equal, and one without a value is no evidence.
    return np.asarray(~(np.abs(value) < observed * (1 - 1e-9)))


def _chunks(n: int, resamples: int) -> Iterator[int]:
    rows = max(1, _CELLS // n)
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)
