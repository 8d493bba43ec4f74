"""Metrics of sets of labels against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, hamming_loss

from affina.core.answers import Answers
from affina.evaluation.metrics.hamming import Hamming
from affina.evaluation.metrics.macro_f1 import MacroF1
from affina.evaluation.metrics.micro_f1 import MicroF1
from affina.evaluation.metrics.subset_accuracy import SubsetAccuracy


def sets(truth: object, given: object) -> Answers:
    truth_NL, given_NL = np.array(truth, np.int64), np.array(given, np.float64)
    n, size = truth_NL.shape
    names = tuple(f"label {i}" for i in range(size))
    ids = tuple(map(str, range(n)))
    return Answers(ids, np.ones(n), np.ones(n), labels=names, chances_NL=given_NL, truth_NL=truth_NL)


@pytest.mark.parametrize("seed", range(8))
def test_metrics_of_sets_equal_scikit_learn(seed: int) -> None:
    draws = np.random.default_rng(seed)
    truth_NL, chances_NL = (draws.random((40, 6)) < 0.3).astype(int), draws.random((40, 6))
    answers, given_NL = sets(truth_NL, chances_NL), (chances_NL >= 0.5).astype(int)
    assert MicroF1().value(answers) == pytest.approx(f1_score(truth_NL, given_NL, average="micro"))
    assert MacroF1().value(answers) == pytest.approx(f1_score(truth_NL, given_NL, average="macro"))
    assert SubsetAccuracy().value(answers) == pytest.approx(accuracy_score(truth_NL, given_NL))
    assert Hamming().value(answers) == pytest.approx(hamming_loss(truth_NL, given_NL))
    stricter = f1_score(truth_NL, (chances_NL >= 0.8).astype(int), average="micro")
    assert MicroF1(threshold=0.8).value(answers) == pytest.approx(stricter)


def test_a_label_that_never_occurs_does_not_pull_macro_f1_down() -> None:
    answers = sets([[1, 0, 0], [1, 1, 0]], [[1, 0, 0], [1, 0, 0]])
    assert MacroF1().value(answers) == pytest.approx((1 + 0) / 2)


def test_no_labels_at_all_is_a_set_that_can_be_right() -> None:
    assert SubsetAccuracy().value(sets([[0, 0], [0, 1]], [[0.1, 0.2], [0.1, 0.2]])) == 0.5
