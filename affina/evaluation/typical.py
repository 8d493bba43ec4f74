"""The answer that says most of what other answers say: what is answered without having looked at the question."""

from collections import Counter
from collections.abc import Sequence

from affina.data.likeness import dice, words

COMPARED = 200
"""Answers, evenly spread, that are compared with each other."""


def typical(answers: Sequence[str]) -> str:
    """Of the answers the one whose words agree best (F1) with the others', on average; the first of equals."""
    spread = answers[:: -(-len(answers) // COMPARED)] if answers else []
    counts = [Counter(words(text)) for text in spread]
    means = [sum(_agreement(one, two) for two in counts) for one in counts]
    return spread[means.index(max(means))] if means else ""


def _agreement(one: Counter[str], two: Counter[str]) -> float:
    return dice((one & two).total(), one.total(), two.total())
