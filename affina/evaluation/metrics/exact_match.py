"""Exact match: the share of items whose generated text is the expected text."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats, Metric
from affina.evaluation.squad import squad_form


class ExactMatch(Metric):
    """Share of generated answers equal to the expected text, white space at both ends aside."""

    reads: ClassVar[str] = "text"

    normalise: bool = False
    """Compare in lower case, without punctuation, English articles and runs of white space, as SQuAD does."""

    def value(self, answers: Answers) -> float:
        return float(self.each(answers).mean())

    def each(self, answers: Answers) -> Floats:
        """1 for an equal text, 0 for another."""
        assert answers.expected is not None and answers.said is not None, "exact_match reads text"
        form = squad_form if self.normalise else str.strip
        pairs = zip(answers.expected, answers.said, strict=True)
        return np.array([form(right) == form(said) for right, said in pairs], dtype=np.float64)
