"""How much what one model says differs from what another says, in nats, by what they end in: numpy, float64."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Said = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]


def of(head: str, exclusive: bool, right: Said, other: Said) -> Wide:
    """[N] KL(right ‖ other) of each place, for logits [N, V]: see `KINDS`."""
    kind = "many" if head == "labels" and not exclusive else head
    with np.errstate(invalid="ignore"):  # what is no number stays none, and never keeps a bound
        return KINDS[kind](right.astype(np.float64), other.astype(np.float64))


def choices(p_NV: Wide, q_NV: Wide) -> Wide:
    """[N] of softmax distributions."""
    p_NV, q_NV = _log_softmax(p_NV), _log_softmax(q_NV)
    made: Wide = (np.exp(p_NV) * (p_NV - q_NV)).sum(1)
    return made


def _either(p_NV: Wide, q_NV: Wide) -> Wide:
    """[N] of independent yeses and noes, one per logit."""
    yes_p, yes_q, no_p, no_q = (-np.logaddexp(0, -each) for each in (p_NV, q_NV, -p_NV, -q_NV))
    made: Wide = (np.exp(yes_p) * (yes_p - yes_q) + np.exp(no_p) * (no_p - no_q)).sum(1)
    return made


def _places(p_TL: Wide, q_TL: Wide) -> Wide:
    """[2] of distributions over the places of a row: where a passage begins and ends."""
    return choices(p_TL.T, q_TL.T)


def _normal(p_NV: Wide, q_NV: Wide) -> Wide:
    """[N] of normals of variance 1 around a number."""
    made: Wide = ((p_NV - q_NV) ** 2).sum(1) / 2
    return made


def _turned(p_ND: Wide, q_ND: Wide) -> Wide:
    """[N] 1 - cosine: half the squared distance of vectors made of unit length."""
    long = np.linalg.norm(p_ND, axis=1) * np.linalg.norm(q_ND, axis=1)
    made: Wide = 1 - (p_ND * q_ND).sum(1) / long
    return made


def _log_softmax(logits_NV: Wide) -> Wide:
    away_NV = logits_NV - logits_NV.max(1, keepdims=True)
    made: Wide = away_NV - np.log(np.exp(away_NV).sum(1, keepdims=True))
    return made


KINDS: dict[str, Callable[[Wide, Wide], Wide]] = {
    "words": choices, "labels": choices, "tags": choices, "many": _either, "margin": _either, "span": _places,
    "score": _normal, "vector": _turned,
}  # fmt: skip
"""By what a model ends in."""
