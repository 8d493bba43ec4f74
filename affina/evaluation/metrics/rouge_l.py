"""ROUGE-L: how much of a text stands, in order, in the right one that is nearest to it."""

from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.data.likeness import rouge_l, words
from affina.evaluation.references import best


class RougeL(Metric):
    """Mean F1 of the longest common subsequence of words, in lower case without stemming, the best over the right
    texts (Lin, 2004; the whole text is one sentence)."""

    reads: ClassVar[str] = "text"

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """Every item's F1."""
        return best(answers, self.f1)

    def f1(self, said: str, right: str) -> float:
        """Of one text."""
        return rouge_l(words(said), words(right))
