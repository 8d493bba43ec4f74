"""Tag accuracy: the share of words that are given their tag."""

from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.weighted import Counted, over


class TagAccuracy(Counted):
    """Words with the right tag divided by all words: a long text counts more than a short one."""

    reads: ClassVar[str] = "tags"

    def counts(self, answers: Answers) -> Floats:
        assert answers.tags is not None and answers.guessed is not None, "tag_accuracy reads tags"
        both = zip(answers.tags, answers.guessed, strict=True)
        rows = [[sum(one == two for one, two in zip(right, given, strict=True)), len(right)] for right, given in both]
        return np.array(rows, dtype=np.float64)

    def total(self, sums_BC: Floats) -> Floats:
        return over(sums_BC[:, 0], sums_BC[:, 1])
