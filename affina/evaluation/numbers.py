"""Numbers that were right beside numbers that were given, and their weighted correlation."""

import numpy as np
import numpy.typing as npt

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.weighted import over


def both(answers: Answers) -> tuple[Floats, Floats]:
    """[N] the right numbers and the given ones."""
    assert answers.value_N is not None and answers.guess_N is not None, "this metric reads number"
    return answers.value_N, answers.guess_N


def correlation(x_BN: Floats, y_BN: Floats, weights_BN: Floats) -> Floats:
    """[B] Pearson's correlation under weights; x and y may be [1, N]. 0 where either is the same number throughout."""
    n_B1 = weights_BN.sum(axis=1, keepdims=True)
    varied_B = _varied(x_BN, weights_BN) & _varied(y_BN, weights_BN)
    x_BN, y_BN = (each - over((each * weights_BN).sum(axis=1, keepdims=True), n_B1) for each in (x_BN, y_BN))
    spread_B = np.sqrt((weights_BN * x_BN**2).sum(axis=1) * (weights_BN * y_BN**2).sum(axis=1))
    return np.clip(over((weights_BN * x_BN * y_BN).sum(axis=1), np.where(varied_B, spread_B, 0.0)), -1.0, 1.0)


def _varied(x_BN: Floats, weights_BN: Floats) -> npt.NDArray[np.bool_]:
    """[B] Whether the items that are there differ: said of the numbers themselves, before a mean rounds them."""
    present_BN = weights_BN > 0
    most_B = np.where(present_BN, x_BN, -np.inf).max(axis=1)
    return np.asarray(most_B > np.where(present_BN, x_BN, np.inf).min(axis=1))
