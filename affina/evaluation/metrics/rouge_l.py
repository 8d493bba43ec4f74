"""ROUGE-L: how much of a text stands, in order, in the right one that is nearest to it."""

from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.references import best, dice, longest_common, words


class RougeL(Metric):
    """Mean F1 of the longest common subsequence of words, in lower case without stemming, the best over the right
    texts (Lin, 2004; the whole text is one sentence)."""

    reads: ClassVar[str] = "text"

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """Every item's F1."""
        return best(answers, _f1)


def _f1(said: str, right: str) -> float:
    one, two = words(said), words(right)
    return dice(longest_common(one, two), len(one), len(two))
