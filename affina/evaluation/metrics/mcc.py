"""Matthews' correlation of right and predicted classes: 0 for guessing however rare a class is, 1 for all right."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.weighted import Counted, over


class Mcc(Counted):
    """Gorodkin's R_K (Computational Biology and Chemistry 28, 2004): Matthews' coefficient (1975) for two classes.

    0 where all items have one class or are given one. An answer outside the known labels counts as a class of its own.
    """

    reads: ClassVar[str] = "label"

    def counts(self, answers: Answers) -> Floats:
        assert answers.target_N is not None and answers.predicted_N is not None, "mcc reads label"
        classes = np.eye(len(answers.labels) + 1)
        right_N = answers.target_N == answers.predicted_N
        return np.column_stack([right_N, classes[answers.target_N], classes[answers.predicted_N]])

    def total(self, sums_BC: Floats) -> Floats:
        actual_BL, predicted_BL = np.split(sums_BC[:, 1:], 2, axis=1)
        n_B = actual_BL.sum(axis=1)
        covariance_B = sums_BC[:, 0] * n_B - (actual_BL * predicted_BL).sum(axis=1)
        spread_B = (n_B**2 - (actual_BL**2).sum(axis=1)) * (n_B**2 - (predicted_BL**2).sum(axis=1))
        return over(covariance_B, np.sqrt(spread_B))
