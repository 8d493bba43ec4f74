"""A linear head: logistic regression for classes, ridge regression for a number (Alain and Bengio, 2016: a probe)."""

from typing import Any

import numpy as np
from pydantic import Field

from affina.core.kinds import Arrays, Embedded, Floats, Head, Vectors
from affina.training.chances import settled

PENALTIES = (1.0, 0.1, 0.01)
MOST_STEPS = 5000


class Linear(Head):
    """One weight per class and number of the embedding, and a bias."""

    penalty: float | None = Field(None, gt=0)
    """Of half the squared weights, beside the sum of the rows' losses; when left out that of 1, 0.1 and 0.01 with which
    the validation split loses least."""

    def fit(self, train: Vectors, validation: Vectors, seed: int) -> Arrays:
        penalties = PENALTIES if self.penalty is None else (self.penalty,)
        if len(penalties) == 1:
            return _learnt(train, penalties[0])
        found = (_learnt(train, each) for each in penalties)
        return settled(found, lambda each: self.answer(each, validation.rows_ND), validation, train)

    def answer(self, learnt: Arrays, rows_ND: Embedded) -> Floats:
        scores_NL: Floats = rows_ND.astype(np.float64) @ learnt["weight"].T + learnt["bias"]
        if not learnt["classes"][0]:
            return scores_NL
        above_NL = np.exp(scores_NL - scores_NL.max(axis=1, keepdims=True))
        chances_NL: Floats = above_NL / above_NL.sum(axis=1, keepdims=True)
        return chances_NL


def _learnt(train: Vectors, penalty: float) -> Arrays:
    """weight [L, D], bias [L], classes [1]; a class without a training row has a bias of -∞."""
    rows_ND, classes = train.rows_ND.astype(np.float64), np.array([train.classes])
    if not train.classes:
        from sklearn.linear_model import Ridge

        ridge = Ridge(alpha=penalty).fit(rows_ND, train.targets_N)
        return {"weight": ridge.coef_[None], "bias": np.array([ridge.intercept_]), "classes": classes}
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(C=1 / penalty, max_iter=MOST_STEPS)
    model.fit(rows_ND, train.targets_N.astype(np.int64))
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # of two classes the library keeps the second's score against the first's
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.r_[0.0, bias]
    whole = {"weight": np.zeros((train.classes, rows_ND.shape[1])), "bias": np.full(train.classes, -np.inf)}
    whole["weight"][model.classes_], whole["bias"][model.classes_] = weight, bias
    return {**whole, "classes": classes}
