"""SQuAD's F1: how many words an answer shares with the right one that is nearest to it."""

from collections import Counter
from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.data.likeness import dice
from affina.evaluation.metrics.exact_match import squad_form
from affina.evaluation.references import best


class SquadF1(Metric):
    """Mean F1 of normalised words, the best over the right answers (Rajpurkar et al., 2016). No answer is right only
    where none is expected (SQuAD 2.0, 2018)."""

    reads: ClassVar[str] = "text"

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """Every item's F1."""
        return best(answers, _f1)


def _f1(said: str, right: str) -> float:
    one, two = squad_form(said).split(), squad_form(right).split()
    if not one or not two:
        return float(one == two)
    return dice((Counter(one) & Counter(two)).total(), len(one), len(two))
