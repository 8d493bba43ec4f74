import numpy as np
import pytest

from affina.data.confident import folds, held_out, suspects


def test_the_confident_joint_is_the_papers_by_hand() -> None:
    # labels 0 0 0 1 1; mean p(0) of the rows labelled 0: (0.9 + 0.7 + 0.2) / 3 = 0.6; mean p(1) of those labelled 1:
    # (0.8 + 0.6) / 2 = 0.7. Row 2 has p(1) = 0.8 ≥ 0.7: confidently 1. Row 4 reaches neither: not counted.
    # joint [[2, 1], [0, 1]], calibrated to 3 and 2 labels: [[2, 1], [0, 2]]: 1 of 5 rows is wrong.
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6]])
    found, share = suspects(np.array([0, 0, 0, 1, 1]), probabilities)
    assert [(each.place, each.given, each.other) for each in found] == [(2, 0, 1)]
    assert found[0].margin == pytest.approx(0.2 - 0.8) and share == pytest.approx(0.2)


def test_as_many_as_the_joint_holds_wrong_the_surest_first() -> None:
    # labels 0 0 0 1 1; thresholds (0.9 + 0.3 + 0.1) / 3 = 0.433, (0.9 + 0.5) / 2 = 0.7, none for a class without rows.
    # Rows 0 and 2 are confidently 0 and 1, row 3 is 1: the joint [[1, 1], [0, 1]] becomes [[1.5, 1.5], [0, 2]]. So 0.3
    # of the rows are wrong, the two of the lowest margins: row 2 (0.1 - 0.85) and row 1 (0.3 - 0.6).
    probabilities = np.array([[0.9, 0.05, 0.05], [0.3, 0.6, 0.1], [0.1, 0.85, 0.05], [0.1, 0.9, 0], [0.2, 0.5, 0.3]])
    found, share = suspects(np.array([0, 0, 0, 1, 1]), probabilities)
    assert [(each.place, each.other) for each in found] == [(2, 1), (1, 1)] and share == pytest.approx(0.3)
    assert suspects(np.zeros(0, np.int64), np.zeros((0, 2))) == ([], 0.0)


def test_equal_texts_are_in_one_fold_and_classes_in_all() -> None:
    texts = [f"text {n % 20}" for n in range(40)]
    labels = np.array([n % 2 for n in range(40)])
    found = folds(texts, labels, list(range(40)), 5)
    assert all(len({found[n] for n in range(40) if texts[n] == text}) == 1 for text in texts)
    for label in (0, 1):
        assert set(np.bincount(found[labels == label], minlength=5)) == {4}


def test_no_row_is_judged_by_a_classifier_that_saw_it() -> None:
    # every row its own direction: nothing can be learnt about one from the others, whatever its label
    labels = np.array([0, 1] * 10)
    judged = held_out(np.eye(20), labels, np.arange(20) % 5, 2)
    assert judged.sum(axis=1) == pytest.approx(np.ones(20))
    assert judged[:, 0] == pytest.approx(np.full(20, 0.5), abs=0.02)
