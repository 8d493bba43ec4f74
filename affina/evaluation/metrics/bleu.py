"""BLEU: how many runs of words a translation shares with the right ones, over the whole set."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import ClassVar, Literal

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.references import pairs
from affina.evaluation.weighted import Counted, over

ORDER = 4


class Bleu(Counted):
    """Geometric mean of the precision of runs of 1 … 4 words, less for what is too short (Papineni et al., 2002), from
    0 to 1: a hundredth of sacrebleu's score, with its tokens, its nearest length and its smoothing (Post, 2018)."""

    reads: ClassVar[str] = "text"

    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """sacrebleu's tokenizer: `13a` for most languages, `zh` for Chinese, `char` for scripts without spaces."""
    lowercase: bool = False
    """Whether case is left out."""

    def objection(self, labels: Sequence[str]) -> str:
        return "" if find_spec("sacrebleu") else "it needs sacrebleu: pip install 'affina[text]'"

    def counts(self, answers: Answers) -> Floats:
        from sacrebleu.metrics.bleu import BLEU

        counting = BLEU(tokenize=self.tokenize, lowercase=self.lowercase, effective_order=True)
        found = [counting.sentence_score(said, [*right]) for said, right in pairs(answers)]
        rows = [[each.sys_len, each.ref_len, *each.counts, *each.totals] for each in found]
        return np.array(rows, dtype=np.float64)

    def total(self, sums_BC: Floats) -> Floats:
        made_B, right_B = sums_BC[:, 0], sums_BC[:, 1]
        shared_BO, runs_BO = np.split(sums_BC[:, 2:], 2, axis=1)
        # Exponential smoothing: the first order without a match counts half a match, the next a quarter.
        halves_BO = 0.5 ** np.cumsum(shared_BO == 0, axis=1)
        precision_BO = over(np.where(shared_BO > 0, shared_BO, halves_BO), runs_BO)
        some_B = np.asarray(shared_BO.any(axis=1) & (runs_BO > 0).all(axis=1))
        mean_B = np.exp(np.log(np.where(some_B[:, None], precision_BO, 1.0)).mean(axis=1))
        short_B = np.exp(np.minimum(0.0, 1 - over(right_B, made_B, otherwise=1.0)))
        return np.where(some_B, short_B * mean_B, 0.0)
