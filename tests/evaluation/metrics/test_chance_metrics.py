"""MCC, areas under curves, Brier, calibration and cost against scikit-learn and against cases computed by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, matthews_corrcoef, roc_auc_score

from affina.core.answers import Answers
from affina.core.kinds import Floats, Ints, metrics
from affina.evaluation.metrics.brier import Brier
from affina.evaluation.metrics.cost import Cost
from affina.evaluation.metrics.ece import Ece
from affina.evaluation.metrics.mcc import Mcc
from affina.evaluation.metrics.pr_auc import PrAuc
from affina.evaluation.metrics.roc_auc import RocAuc


def chances(target_N: Ints, chances_NL: Floats) -> Answers:
    n, size = chances_NL.shape
    return Answers(
        tuple(map(str, range(n))), np.ones(n), np.ones(n), labels=tuple(f"label {i}" for i in range(size)),
        target_N=target_N, predicted_N=chances_NL.argmax(axis=1), chances_NL=chances_NL,
    )  # fmt: skip


def drawn(n: int, size: int, seed: int, steps: int = 20) -> Answers:
    """Random answers in which every class occurs; chances in a few steps, so that there are ties."""
    draws = np.random.default_rng(seed)
    raw_NL = draws.integers(1, steps, (n, size)).astype(np.float64)
    return chances(draws.permutation(np.arange(n) % size), raw_NL / raw_NL.sum(axis=1, keepdims=True))


def binary(right: list[int], given: list[float]) -> Answers:
    second_N = np.array(given)
    return chances(np.array(right), np.column_stack([1 - second_N, second_N]))


@given(st.integers(12, 60), st.integers(2, 5), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_label_and_chance_metrics_equal_scikit_learn(n: int, size: int, seed: int) -> None:
    answers = drawn(n, size, seed)
    right_N, given_NL = answers.target_N, answers.chances_NL
    assert right_N is not None and given_NL is not None
    assert Mcc().value(answers) == pytest.approx(matthews_corrcoef(right_N, answers.predicted_N))
    assert Brier().value(answers) == pytest.approx(brier_score_loss(right_N, given_NL, labels=np.arange(size)))
    if size == 2:
        assert RocAuc().value(answers) == pytest.approx(roc_auc_score(right_N, given_NL[:, 1]))
        for place in (0, 1):
            expected = average_precision_score(right_N == place, given_NL[:, place])
            assert PrAuc(positive=f"label {place}").value(answers) == pytest.approx(expected)
    else:
        whole = roc_auc_score(right_N, given_NL, multi_class="ovr", average="macro")
        assert RocAuc().value(answers) == pytest.approx(whole)
        assert PrAuc().value(answers) == pytest.approx(average_precision_score(np.eye(size)[right_N], given_NL))


def test_scikit_learns_own_examples() -> None:
    # From the documentation of roc_auc_score, average_precision_score and brier_score_loss.
    answers = binary([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert RocAuc().value(answers) == 0.75
    assert PrAuc(positive="label 1").value(answers) == pytest.approx(0.83, abs=5e-3)
    assert Brier().value(binary([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3])) == pytest.approx(0.0375)


def test_the_rarer_class_is_the_positive_one() -> None:
    answers = binary([0, 1, 1, 1], [0.3, 0.2, 0.6, 0.9])
    # "label 0" is rarer: by its chance 0.8, 0.7, 0.4, 0.1 the one right item stands second, so precision is 1/2.
    assert PrAuc().value(answers) == 0.5 and PrAuc(positive="label 1").value(answers) > 0.5


def test_one_class_alone_has_no_curve() -> None:
    answers = binary([1, 1], [0.3, 0.9])
    assert RocAuc().value(answers) == 0.5 and PrAuc(positive="label 0").value(answers) == 0.0
    assert Mcc().value(answers) == 0.0


def test_calibration_of_a_case_computed_by_hand() -> None:
    # Bins of a fifth: 0.9 and 0.85 lie in (0.8, 1], one right of two: |1 - 1.75| = 0.75; 0.7 in (0.6, 0.8], right: 0.3.
    answers = binary([1, 0, 0], [0.9, 0.85, 0.3])
    assert Ece(bins=5).value(answers) == pytest.approx((0.75 + 0.3) / 3)
    assert Ece(bins=1).value(answers) == pytest.approx(abs(2 - 0.9 - 0.85 - 0.7) / 3)
    assert Ece().value(binary([1, 0], [1.0, 0.0])) == 0.0


def test_the_cost_of_the_best_threshold_computed_by_hand() -> None:
    # By falling chance: 0.9 right, 0.8 wrong, 0.6 right, 0.2 wrong, 0.1 wrong. A miss costs 5 and a false alarm 1:
    # calling three positive costs one alarm, 1 of 5 items; only the first costs a miss, 5; none 10; all 3.
    answers = binary([1, 0, 1, 0, 0], [0.9, 0.8, 0.6, 0.2, 0.1])
    assert Cost(false_negative=5).value(answers) == pytest.approx(1 / 5)
    assert Cost(false_positive=7, false_negative=5).value(answers) == pytest.approx(5 / 5)
    # Alarms dear and misses cheap: nothing is called positive.
    worst = binary([0, 1, 1, 0, 0], [0.9, 0.8, 0.6, 0.2, 0.1])
    assert Cost(false_positive=50, false_negative=1).value(worst) == pytest.approx(2 / 5)


def test_equal_chances_cannot_be_told_apart_by_a_threshold() -> None:
    answers = binary([1, 0, 0], [0.5, 0.5, 0.5])
    assert Cost().value(answers) == pytest.approx(1 / 3) and RocAuc().value(answers) == 0.5


def test_mcc_of_several_classes_by_gorodkins_formula() -> None:
    # Confusion [[2,0,0],[0,1,1],[1,0,1]]: c=4, s=6, t=(2,2,2), p=(3,1,2); (24-12)/sqrt((36-14)(36-12))
    given_NL = np.eye(3)[[0, 0, 1, 2, 0, 2]]
    expected = 12 / np.sqrt(22 * 24)
    assert Mcc().value(chances(np.array([0, 0, 1, 1, 2, 2]), given_NL)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["mcc", "roc_auc", "pr_auc", "brier", "ece"])
def test_a_perfect_model_is_perfect(name: str) -> None:
    metric = metrics.build(name)
    answers = chances(np.array([0, 1, 1, 0, 1]), np.eye(2)[[0, 1, 1, 0, 1]])
    assert metric.value(answers) == (1.0 if metric.higher_is_better else 0.0)
