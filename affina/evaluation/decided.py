"""Numbers of classification from plain columns: right and given class, confidence. All classes stand as 0 … L - 1."""

import numpy as np

from affina.core.kinds import Floats
from affina.core.task import Columns

BINS = 15
"""Bins of the confidence in the calibration error (Guo et al., 2017)."""


def macro_f1(columns: Columns) -> float:
    """Mean F1 of the classes that occur among the right ones."""
    table_LL = _table(columns)
    actual_L, given_L = table_LL.sum(axis=1), table_LL.sum(axis=0)
    occurs_L = actual_L > 0
    return float((2 * np.diag(table_LL)[occurs_L] / (actual_L + given_L)[occurs_L]).mean())


def mcc(columns: Columns) -> float:
    """Gorodkin's R_K (2004); 0 where all items have one class or are given one."""
    table_LL = _table(columns)
    actual_L, given_L, n = table_LL.sum(axis=1), table_LL.sum(axis=0), table_LL.sum()
    spread = (n**2 - (actual_L**2).sum()) * (n**2 - (given_L**2).sum())
    return float((np.trace(table_LL) * n - actual_L @ given_L) / np.sqrt(spread)) if spread else 0.0


def ece(columns: Columns) -> float:
    """Expected calibration error of the given class's probability, bins of equal width."""
    confidence_N = columns["confidence"]
    bin_N = np.clip(np.ceil(confidence_N * BINS) - 1, 0, BINS - 1).astype(np.int64)
    gaps_B = np.bincount(bin_N, columns["right"] - confidence_N, minlength=BINS)
    return float(np.abs(gaps_B).sum() / len(confidence_N))


def _table(columns: Columns) -> Floats:
    """[L, L] items of each right class (row) by given class."""
    target_N, given_N = columns["target"].astype(np.int64), columns["given"].astype(np.int64)
    size = int(max(target_N.max(), given_N.max())) + 1
    counts = np.bincount(target_N * size + given_N, minlength=size * size)
    return counts.reshape(size, size).astype(np.float64)
