"""The unigram model of tokens: the share of each among the training targets, one added to every count (Laplace)."""

from collections.abc import Sequence

import numpy as np

from affina.core.answers import Answers, Ints
from affina.core.kinds import Row


def unigram(train: Sequence[Row], test: Sequence[Row], vocabulary: int) -> Answers:
    """-log p of every test row's targets, in nats, after (count + 1) / (all + `vocabulary`)."""
    counts_V = np.bincount(np.concatenate([_seen(row) for row in train]), minlength=vocabulary) + 1.0
    nats_V = np.log(counts_V.sum()) - np.log(counts_V)
    return Answers(
        ids=tuple(row.id for row in test),
        nats_N=np.array([nats_V[_targets(row)].sum() for row in test], dtype=np.float64),
        tokens_N=np.array([row.targets for row in test], dtype=np.float64),
    )


def _seen(row: Row) -> Ints:
    """What a training row shows: its targets, or all that its gaps may hide."""
    if row.cloze is None:
        return _targets(row)
    hidden: Ints = row.cloze.tokens[row.cloze.words >= 0].astype(np.int64)
    return hidden


def _targets(row: Row) -> Ints:
    """What the row's weighted places are to say."""
    said = row.tokens if row.said is None else row.said
    targets: Ints = said[row.weights != 0].astype(np.int64)
    return targets
