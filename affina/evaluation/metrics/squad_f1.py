"""SQuAD's F1: how many words an answer shares with the right one that is nearest to it."""

from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.references import best
from affina.evaluation.squad import shared_words


class SquadF1(Metric):
    """Mean F1 of normalised words, the best over the right answers (Rajpurkar et al., 2016). No answer is right only
    where none is expected (SQuAD 2.0, 2018)."""

    reads: ClassVar[str] = "text"

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """Every item's F1."""
        return best(answers, shared_words)
