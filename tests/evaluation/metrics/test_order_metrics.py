"""Pairs and ranks against arithmetic."""

import numpy as np
import pytest

from affina.core.answers import Answers
from affina.evaluation.metrics.mrr import Mrr
from affina.evaluation.metrics.pair_accuracy import PairAccuracy
from affina.evaluation.metrics.recall_at import RecallAt


def test_a_pair_in_no_order_is_half_right() -> None:
    answers = Answers(("1", "2", "3", "4"), np.ones(4), np.ones(4), margin_N=np.array([0.1, 7.0, 0.0, -2.0]))
    assert PairAccuracy().value(answers) == pytest.approx(2.5 / 4)


def test_ranks_by_their_definitions() -> None:
    answers = Answers(("1", "2", "3", "4"), np.ones(4), np.ones(4), rank_N=np.array([1, 2, 4, 11]))
    assert Mrr().value(answers) == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 11) / 4)
    assert (RecallAt(k=1).value(answers), RecallAt(k=2).value(answers), RecallAt().value(answers)) == (0.25, 0.5, 0.75)
