"""ROUGE-1: how many words a text shares with the right one that is nearest to it."""

from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.references import best, ngram_f1


class Rouge1(Metric):
    """Mean F1 of shared words, in lower case without stemming, the best over the right texts (Lin, 2004)."""

    reads: ClassVar[str] = "text"

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """Every item's F1."""
        return best(answers, lambda said, right: ngram_f1(said, right, 1))
