"""A random forest on embeddings (Breiman, 2001), grown by scikit-learn and kept as arrays of its trees."""

from typing import Any

import numpy as np
from pydantic import Field

from affina.core.kinds import Arrays, Embedded, Floats, Head, Vectors


class Forest(Head):
    """The mean over trees of what each tree's leaf holds: shares of classes, or a mean number."""

    trees: int = Field(100, ge=1)
    """How many."""
    leaf: int = Field(1, ge=1)
    """The fewest training rows in a leaf."""

    def fit(self, train: Vectors, validation: Vectors, seed: int) -> Arrays:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind: Any = RandomForestClassifier if train.classes else RandomForestRegressor
        grown = kind(n_estimators=self.trees, min_samples_leaf=self.leaf, random_state=seed)
        targets_N = train.targets_N.astype(np.int64) if train.classes else train.targets_N
        grown.fit(train.rows_ND, targets_N)
        named = grown.classes_ if train.classes else np.zeros(1, np.int64)
        trees = [each.tree_ for each in grown.estimators_]
        return {**_joined(trees, named), "classes": np.array([train.classes])}

    def answer(self, learnt: Arrays, rows_ND: Embedded) -> Floats:
        size = max(1, int(learnt["classes"][0]))
        held_NL, every_N = np.zeros((len(rows_ND), size)), np.arange(len(rows_ND))
        for root in learnt["roots"]:
            leaf_N = _descended(learnt, int(root), rows_ND)
            starts_N, counts_N = learnt["starts"][leaf_N], learnt["starts"][leaf_N + 1] - learnt["starts"][leaf_N]
            # The j-th entry of row n's leaf stands at starts[n] + j.
            within = np.arange(counts_N.sum()) - np.repeat(np.cumsum(counts_N) - counts_N, counts_N)
            entries = np.repeat(starts_N, counts_N) + within
            held_NL[np.repeat(every_N, counts_N), learnt["labels"][entries]] += learnt["shares"][entries]
        return held_NL / len(learnt["roots"])


def _joined(trees: list[Any], named: Any) -> Arrays:
    """All trees' nodes one after the other; the leaves' entries that are not 0 (label, share) from `starts` on."""
    sizes = [each.node_count for each in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    moved = list(zip(trees, roots, strict=True))
    held = [np.where((each.children_left < 0)[:, None], each.value[:, 0, :], 0.0) for each in trees]
    places = [np.nonzero(each) for each in held]
    counts = np.concatenate([np.bincount(at, minlength=size) for (at, _), size in zip(places, sizes, strict=True)])
    return {
        "roots": roots,
        "left": np.concatenate(
            [np.where(each.children_left < 0, -1, each.children_left + root) for each, root in moved]
        ),
        "right": np.concatenate(
            [np.where(each.children_left < 0, -1, each.children_right + root) for each, root in moved]
        ),
        "feature": np.concatenate([each.feature for each in trees]),
        "threshold": np.concatenate([each.threshold for each in trees]),
        "starts": np.cumsum([0, *counts]),
        "labels": named[np.concatenate([label for _, label in places])],
        "shares": np.concatenate([each[at] for each, at in zip(held, places, strict=True)]),
    }


def _descended(learnt: Arrays, root: int, rows_ND: Embedded) -> Any:
    """[N] the leaf that each row ends in: left where its number is at most the threshold."""
    node_N = np.full(len(rows_ND), root)
    going = np.flatnonzero(learnt["left"][node_N] >= 0)
    while going.size:
        at = node_N[going]
        goes_left = rows_ND[going, learnt["feature"][at]] <= learnt["threshold"][at]
        node_N[going] = np.where(goes_left, learnt["left"][at], learnt["right"][at])
        going = going[learnt["left"][node_N[going]] >= 0]
    return node_N
