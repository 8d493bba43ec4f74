"""Texts beside all that would have been right: the best of them counts, as SQuAD, ROUGE and chrF have it."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.data.likeness import dice, words


def pairs(answers: Answers) -> list[tuple[str, Sequence[str]]]:
    """What was said and every text that is right."""
    assert answers.said is not None and answers.expected is not None, "this metric reads text"
    right = answers.references or tuple((each,) for each in answers.expected)
    return list(zip(answers.said, right, strict=True))


def best(answers: Answers, score: Callable[[str, str], float]) -> Floats:
    """[N] the highest score(said, right) of every item over its right texts."""
    return np.array([max(score(said, one) for one in right) for said, right in pairs(answers)], dtype=np.float64)


def ngram_f1(one: str, two: str, size: int) -> float:
    """F1 of the runs of `size` words, each counted as often as both texts have it."""
    a, b = (Counter(_runs(words(text), size)) for text in (one, two))
    return dice((a & b).total(), a.total(), b.total())


def _runs(parts: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(parts[start : start + size]) for start in range(len(parts) - size + 1)]
