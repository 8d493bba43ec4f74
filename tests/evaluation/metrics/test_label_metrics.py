"""Accuracy, precision, recall and F1 against scikit-learn on random answers, and against a case counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_score, recall_score

from affina.core.answers import Answers
from affina.core.kinds import Ints
from affina.evaluation.classes import OTHER, confusion
from affina.evaluation.metrics.accuracy import Accuracy
from affina.evaluation.metrics.f1 import F1
from affina.evaluation.metrics.precision import Precision
from affina.evaluation.metrics.recall import Recall

SCORES = [(Precision(), precision_score), (Recall(), recall_score), (F1(), f1_score)]
MICRO = {"precision": Precision(average="micro"), "recall": Recall(average="micro"), "f1": F1(average="micro")}


def labelled(target: Ints, predicted: Ints, size: int) -> Answers:
    n = len(target)
    names = tuple(f"label {i}" for i in range(size))
    ids = tuple(map(str, range(n)))
    return Answers(ids, np.ones(n), np.ones(n), labels=names, target_N=target, predicted_N=predicted)


@given(st.integers(1, 80), st.integers(2, 9), st.integers(0, 2**31))
@settings(max_examples=80, deadline=None)
def test_every_average_equals_scikit_learn(n: int, size: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    target_N, predicted_N = draws.integers(0, size, n), draws.integers(-1, size, n)
    answers = labelled(target_N, predicted_N, size)
    assert Accuracy().value(answers) == pytest.approx(accuracy_score(target_N, predicted_N))
    for metric, score in SCORES:
        # Macro is over the classes that occur; micro leaves out -1, which is no prediction.
        macro = score(target_N, predicted_N, labels=np.unique(target_N), average="macro", zero_division=0)
        micro = score(target_N, predicted_N, labels=np.arange(size), average="micro", zero_division=0)
        assert metric.value(answers) == pytest.approx(macro)
        assert MICRO[metric.name].value(answers) == pytest.approx(micro)


@given(st.integers(1, 60), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_the_confusion_matrix_equals_scikit_learn(n: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    target_N, predicted_N = draws.integers(0, 4, n), draws.integers(0, 4, n)
    labels, counts = confusion(labelled(target_N, predicted_N, 4))
    assert labels == ("label 0", "label 1", "label 2", "label 3")
    assert np.array_equal(counts, confusion_matrix(target_N, predicted_N, labels=np.arange(4)))


def test_answers_outside_the_labels_get_a_column_of_their_own() -> None:
    labels, counts = confusion(labelled(np.array([0, 0, 1]), np.array([-1, 0, -1]), 2))
    assert labels == ("label 0", "label 1", OTHER)
    assert counts.tolist() == [[1, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_a_case_counted_by_hand() -> None:
    # a: 3 items, 2 right, predicted 3 times; b: 1 item, never predicted; c does not occur but is predicted once.
    answers = labelled(np.array([0, 0, 0, 1]), np.array([0, 0, 2, 0]), 3)
    assert Accuracy().value(answers) == 0.5
    assert Precision().value(answers) == pytest.approx((2 / 3 + 0) / 2)
    assert Recall().value(answers) == pytest.approx((2 / 3 + 0) / 2)
    assert F1().value(answers) == pytest.approx((4 / 6 + 0) / 2)
    assert F1(average="micro").value(answers) == pytest.approx(0.5)
