"""Split conformal p-values: how often a normal row would score as high, whatever the scores' distribution.

N scored rows · M calibration rows, normal and exchangeable with the normal ones among N (Vovk et al., 2005; Bates et
al., 2023).
"""

import math

import numpy as np
from scipy import stats

from affina.core.kinds import Floats


def p_values(calibration_M: Floats, scores_N: Floats) -> Floats:
    """[N] (1 + #{calibration scores ≥ score}) / (M + 1): of a normal row at most α with probability at most α."""
    ordered_M = np.sort(calibration_M)
    reached_N = len(ordered_M) - np.searchsorted(ordered_M, scores_N, side="left")
    return np.asarray((1 + reached_N) / (len(ordered_M) + 1))


def needed(alarm: float) -> int:
    """The fewest calibration rows with which any score can have a p-value of at most `alarm`: 1 / (M + 1) ≤ alarm."""
    rows = max(0, math.ceil(1 / alarm) - 2)  # one fewer than the answer, so that rounding of 1 / alarm decides nothing
    while 1 / (rows + 1) > alarm:
        rows += 1
    return rows


def spread(rows: int, alarm: float) -> tuple[float, float]:
    """Between which rates the false alarms of one calibration lie, with probability 0.95; `alarm` at most on average.

    Of M rows and k = ⌊alarm · (M + 1)⌋ the rate is Beta(k, M + 1 - k) where scores do not tie (Vovk, 2012).
    """
    k = allowed(rows, alarm)
    low, high = stats.beta.ppf([0.025, 0.975], k, rows + 1 - k)
    return float(low), float(high)


def allowed(rows: int, alarm: float) -> int:
    """The place from above of the calibration score that an anomaly exceeds."""
    return int((np.arange(1, rows + 1) / (rows + 1) <= alarm).sum())


def threshold(calibration_M: Floats, alarm: float) -> float:
    """The score that a row must exceed for a p-value of at most `alarm`. Needs `needed(alarm)` calibration rows."""
    return float(np.sort(calibration_M)[-allowed(len(calibration_M), alarm)])
