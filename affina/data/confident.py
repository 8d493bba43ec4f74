"""Labels that are probably wrong, from probabilities that were not learnt from them (Northcutt et al. 2021)."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
STRENGTH = 10.0
"""The inverse of the classifier's L2 penalty."""


class Suspect(NamedTuple):
    """A row whose label is probably wrong, by its place; what it probably is, and the margin p(given) - p(other)."""

    place: int
    given: int
    other: int
    margin: float


def suspects(labels_N: Labels, probabilities_NL: Probabilities) -> tuple[list[Suspect], float]:
    """The rows of the lowest margins, as many as the confident joint holds wrong, and that share of all rows.

    A row is confidently of class j where p(j) reaches the mean p(j) of the rows labelled j; of several such classes, of
    the likeliest. The joint counts rows by label and confident class, calibrated so that its rows sum to the labels as
    they were counted; what is off its diagonal is wrong ("prune by noise rate", over all classes together).
    """
    if not len(labels_N):
        return [], 0.0
    classes = probabilities_NL.shape[1]
    counts_L = np.bincount(labels_N, minlength=classes)
    own_N = probabilities_NL[np.arange(len(labels_N)), labels_N]
    thresholds_L = np.bincount(labels_N, own_N, classes) / np.maximum(counts_L, 1)
    confident_NL = np.where((probabilities_NL >= thresholds_L) & (counts_L > 0), probabilities_NL, -1.0)
    confident_N = confident_NL.argmax(axis=1)
    sure_N = confident_NL.max(axis=1) >= 0
    joint_LL = np.zeros((classes, classes))
    np.add.at(joint_LL, (labels_N[sure_N], confident_N[sure_N]), 1)
    empty = joint_LL.sum(axis=1) == 0
    joint_LL[empty, empty] = 1
    joint_LL *= (counts_L / joint_LL.sum(axis=1))[:, None]
    share = 1 - float(np.trace(joint_LL)) / len(labels_N)
    others_NL = probabilities_NL.copy()
    others_NL[np.arange(len(labels_N)), labels_N] = -1
    likeliest_N = others_NL.argmax(axis=1)
    margin_N = own_N - others_NL.max(axis=1)
    count = round(share * len(labels_N))
    order = [n for n in np.argsort(margin_N, kind="stable")[:count].tolist() if margin_N[n] < 0]
    found = [Suspect(n, int(labels_N[n]), int(likeliest_N[n]), float(margin_N[n])) for n in order]
    return found, share


def folds(texts: Sequence[str], labels_N: Labels, draws: Sequence[int], count: int) -> Labels:
    """[N] the fold of each row: equal texts together, classes in proportion, by draw."""
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        first.setdefault(" ".join(text.casefold().split()), place)
    order = sorted(first.values(), key=lambda place: (labels_N[place], draws[place]))
    fold = {place: turn % count for turn, place in enumerate(order)}
    return np.array([fold[first[" ".join(text.casefold().split())]] for text in texts], dtype=np.int64)


def held_out(vectors_ND: Any, labels_N: Labels, folds_N: Labels, classes: int) -> Probabilities:
    """[N, L] probabilities of each row from a classifier that saw only the other folds; 0 for a class it never saw."""
    made_NL = np.zeros((len(labels_N), classes))
    for fold in np.unique(folds_N):
        asked = np.flatnonzero(folds_N == fold)
        shown = np.flatnonzero(folds_N != fold)
        made_NL[asked] = predicted(vectors_ND[shown], labels_N[shown], vectors_ND[asked], classes)
    return made_NL


def predicted(shown_ND: Any, labels_N: Labels, asked_MD: Any, classes: int) -> Probabilities:
    """[M, L] probabilities of rows by logistic regression on others."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    made_ML = np.zeros((asked_MD.shape[0], classes))
    seen = np.unique(labels_N)
    if len(seen) < 2:
        made_ML[:, seen] = 1.0
        return made_ML
    solver = {"solver": "saga", "tol": 1e-2} if hasattr(shown_ND, "tocsr") else {"solver": "lbfgs"}
    learnt = LogisticRegression(C=STRENGTH, max_iter=200, random_state=0, **solver)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an early end still ranks rows
        learnt.fit(shown_ND, labels_N)
    made_ML[:, learnt.classes_] = learnt.predict_proba(asked_MD)
    return made_ML
