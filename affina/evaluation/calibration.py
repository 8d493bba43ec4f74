"""How far a model's confidence is from how often it is right: the points of a reliability diagram."""

import math
from typing import TypedDict

import numpy as np

from affina.core.answers import Answers
from affina.evaluation.statistics import wilson


class Bin(TypedDict):
    """Items of about one confidence in the likeliest label: how many, its mean, and the share that is right."""

    items: int
    confidence: float
    right: float
    low: float
    high: float


def reliability(answers: Answers, bins: int = 10, alpha: float = 0.05) -> list[Bin]:
    """The bins of equal width that hold items, from the least sure on, each share with Wilson's interval (Guo et al.,
    2017); empty where answers have no chances of one right label. A bin holds its upper end."""
    if answers.target_N is None or answers.chances_NL is None or not len(answers):
        return []
    confidence_N = answers.chances_NL.max(axis=1)
    right_N = answers.chances_NL.argmax(axis=1) == answers.target_N
    bin_N = np.clip(np.ceil(confidence_N * bins) - 1, 0, bins - 1).astype(np.int64)
    found: list[Bin] = []
    for place in range(bins):
        here_N = bin_N == place
        if n := int(here_N.sum()):
            low, high = wilson(right_N[here_N].sum(), n, alpha)
            mean = math.fsum(confidence_N[here_N]) / n
            found.append(
                Bin(items=n, confidence=mean, right=float(right_N[here_N].mean()), low=float(low), high=float(high))
            )
    return found
