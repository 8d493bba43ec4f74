"""Perplexity under a causal model: a text that the model finds hard to predict is strange."""

from typing import ClassVar

import numpy as np

from affina.core.kinds import Arrays, Floats, Novelty


class Perplexity(Novelty):
    """The logarithm of a text's perplexity: its nats per token. Nothing is learnt but the model itself."""

    reads: ClassVar[str] = "nats"
    learns: ClassVar[bool] = False

    def fit(self, normal_ND: Floats) -> Arrays:
        return {}

    def score(self, learnt: Arrays, rows_ND: Floats) -> Floats:
        return np.asarray(rows_ND[:, 0])
