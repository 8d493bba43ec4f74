"""How far two models are from what is ideal of a statistic: the interval of that, and which of the two is nearer.

Axes: B resamples. x and y are by how much a and b are off the ideal.
"""

import numpy as np

from affina.core.kinds import Floats, Ints
from affina.core.task import Columns, Statistic
from affina.evaluation.drawn import of_items
from affina.evaluation.statistics import bootstrap, bootstrap_interval

How = tuple[int, float, float]
"""Of an interval: the items that speak, alpha, and the least standard error."""


def folded(a: Columns, b: Columns, of: Statistic, draws: tuple[int, int], how: How) -> tuple[float, float]:
    """The ends of |y| - |x|; the draws are (items, seed).

    Near the ideal |x| is mostly chance and the bootstrap takes it for distance. But |y| - |x| is the smaller one of
    y - x and y + x, its sign that of their product; each of the two has an interval that knows no fold, and the ends
    are those that both allow.
    """
    (x, x_B), (y, y_B) = (_off(each, of, draws) for each in (a, b))
    known_B = np.isfinite(x_B) & np.isfinite(y_B)
    x_B, y_B = x_B[known_B], y_B[known_B]
    differences = bootstrap_interval(y - x, y_B - x_B, *how)[:2]
    sums = bootstrap_interval(y + x, y_B + x_B, *how)[:2]
    ends = [float(min(abs(p), abs(q)) * np.sign(p) * np.sign(q)) for p in differences for q in sums]
    return min(ends), max(ends)


def nearer(a: Columns, b: Columns, statistic: Statistic, draws: tuple[int, int], how: How) -> float:
    """How much nearer to the ideal b is, |x| - |y|; 0 where they stand on either side of it and none is shown to be
    nearer: then y - x tells that the two differ, and only y + x which of them is nearer."""
    assert statistic.ideal is not None, "nearer to an ideal"
    x, y = (statistic.value(each) - statistic.ideal for each in (a, b))
    if x * y < 0:
        sums_B = _off(a, statistic, draws)[1] + _off(b, statistic, draws)[1]
        low, high, _ = bootstrap_interval(x + y, sums_B[np.isfinite(sums_B)], *how)
        if low <= 0 <= high:
            return 0.0
    return abs(x) - abs(y)


def _off(columns: Columns, of: Statistic, draws: tuple[int, int]) -> tuple[float, Floats]:
    """As it is, and [B] in every resample."""

    def off(index_N: Ints) -> float:
        return of.value(of_items(columns, index_N)) - (of.ideal or 0.0)

    return of.value(columns) - (of.ideal or 0.0), bootstrap(off, *draws)
