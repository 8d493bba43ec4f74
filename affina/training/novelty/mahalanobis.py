"""Mahalanobis distance of embeddings (Lee et al., 2018), the covariance shrunk (Ledoit and Wolf, 2004)."""

from typing import ClassVar

import numpy as np

from affina.core.kinds import Arrays, Floats, Novelty


class Mahalanobis(Novelty):
    """How many standard deviations a row lies from the mean of normal rows, along the way it lies."""

    reads: ClassVar[str] = "vectors"

    def fit(self, normal_ND: Floats) -> Arrays:
        """mean [D] and whitening [D, D], whose product with its transpose is the inverse covariance."""
        from sklearn.covariance import LedoitWolf

        found = LedoitWolf(store_precision=False).fit(normal_ND)
        return {"mean": found.location_, "whitening": np.linalg.inv(np.linalg.cholesky(found.covariance_)).T.copy()}

    def score(self, learnt: Arrays, rows_ND: Floats) -> Floats:
        return np.asarray(np.linalg.norm((rows_ND - learnt["mean"]) @ learnt["whitening"], axis=1))
