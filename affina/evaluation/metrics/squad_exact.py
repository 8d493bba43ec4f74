"""SQuAD's exact match: the share of answers that equal one of the right ones but for case, punctuation, articles."""

from typing import ClassVar

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.references import best
from affina.evaluation.squad import squad_form


class SquadExact(Metric):
    """Share of answers whose normalised form is that of a right one, as SQuAD's script (Rajpurkar et al., 2016)."""

    reads: ClassVar[str] = "text"

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """1 for an equal answer, 0 for another."""
        return best(answers, lambda said, right: float(squad_form(said) == squad_form(right)))
