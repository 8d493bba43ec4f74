"""Nearest neighbours: a row is answered as the training rows most similar to it (Cover and Hart, 1967)."""

from typing import Any

import numpy as np
from pydantic import Field

from affina.core.kinds import Arrays, Embedded, Floats, Head, Ints, Vectors
from affina.training.chances import settled

COUNTS = (1, 3, 10, 30)
TOGETHER = 1024  # rows compared at once: bounds memory, changes no number


class Knn(Head):
    """Shares of the classes among the nearest training rows by cosine similarity, or the mean of their numbers."""

    neighbours: int | None = Field(None, ge=1)
    """How many vote; when left out that of 1, 3, 10 and 30 with which the validation split loses least."""

    def fit(self, train: Vectors, validation: Vectors, seed: int) -> Arrays:
        counts = COUNTS if self.neighbours is None else (self.neighbours,)
        kept: dict[str, Any] = {"rows": train.rows_ND, "targets": train.targets_N, "classes": np.array([train.classes])}
        found = [{**kept, "neighbours": np.array([count])} for count in counts if count <= len(train.targets_N)]
        if len(found) < 2:
            return found[0] if found else {**kept, "neighbours": np.array([len(train.targets_N)])}
        return settled(found, lambda each: self.answer(each, validation.rows_ND), validation, train)

    def answer(self, learnt: Arrays, rows_ND: Embedded) -> Floats:
        classes, count = int(learnt["classes"][0]), int(learnt["neighbours"][0])
        found = []
        for start in range(0, len(rows_ND), TOGETHER):
            similar_MN = rows_ND[start : start + TOGETHER] @ learnt["rows"].T
            targets_MK = learnt["targets"][_nearest(similar_MN, count)]
            votes = [(targets_MK == each).mean(axis=1) for each in range(classes)] or [targets_MK.mean(axis=1)]
            found.append(np.column_stack(votes))
        return np.concatenate(found)


def _nearest(similar_MN: Embedded, count: int) -> Ints:
    """[M, K] the places of the most similar rows."""
    return np.asarray(np.argpartition(-similar_MN, count - 1, axis=1)[:, :count], np.int64)
