"""What one other answer moves a metric of labels by, by hand; intervals where resampling shows nothing."""

import numpy as np
import pytest

from affina.core.answers import Answers
from affina.core.gate import Gate
from affina.core.kinds import metrics
from affina.evaluation.compare import compare
from affina.evaluation.detail import classes
from affina.evaluation.flips import moves
from affina.evaluation.gate import Standard, judge
from affina.evaluation.measure import measure
from affina.evaluation.statistics import wilson

F1, MCC, ACCURACY, MICRO = (
    metrics.build(each) for each in ("f1", "mcc", "accuracy", {"name": "recall", "average": "micro"})
)


def answered(target: list[int], predicted: list[int] | None = None) -> Answers:
    n, target_N = len(target), np.array(target)
    predicted_N = target_N if predicted is None else np.array(predicted)
    return Answers(tuple(map(str, range(n))), np.ones(n), np.ones(n), ("a", "b"), target_N, predicted_N)


def test_one_other_answer_moves_a_rare_class_most_by_hand() -> None:
    # 98 of a, 2 of b, all right. One of b called a: F1 of b is 2 / (1 + 2), of a 196 / (99 + 98).
    assert moves(answered([0] * 98 + [1] * 2), F1) == (pytest.approx(-(1 / 3 + 1 / 197) / 2), 0.0)
    # All called a: F1 of a is 196/198. One of b found: b's is 2/3, a's 196/197; one of a called b: 2·97 / 197.
    fall, rise = moves(answered([0] * 98 + [1] * 2, [0] * 100), F1)
    assert rise == pytest.approx((2 / 3 + 196 / 197 - 196 / 198) / 2)
    assert fall == pytest.approx((194 / 197 - 196 / 198) / 2)
    assert moves(answered([0, 1]), ACCURACY) == (0.0, 0.0), "its items are counted exactly"


@pytest.mark.parametrize("n", [5, 20, 400])
def test_of_items_that_are_all_right_a_share_has_wilsons_interval(n: int) -> None:
    # Recall over all items together is accuracy.
    found = measure(answered([0, 1] * n), [MICRO], 0.05, 0)["recall"]
    exact = wilson(2 * n, 2 * n, 0.05)
    assert (found.low, found.high) == (pytest.approx(float(exact[0])), 1.0)


@pytest.mark.parametrize("metric", [F1, MCC])
def test_items_that_are_all_right_are_no_certainty(metric: object) -> None:
    found = measure(answered([0, 1] * 10), [metric], 0.05, 0)[metric.name]  # type: ignore[attr-defined, list-item]
    assert found.value == found.high == pytest.approx(1) and 0.6 < found.low < 0.9
    f1 = classes(answered([0, 1] * 10), 0.05, 0)["classes"]["a"]["f1"]
    # Wilson's lower end of 10 of 10 is 10 / (10 + 1.96²) = 0.722, of precision and of recall.
    assert (f1["value"], f1["high"], f1["low"]) == (1.0, 1.0, pytest.approx(0.7225, abs=1e-3))


def test_the_interval_covers_where_few_items_are_of_a_class() -> None:
    """Every item is right with probability 0.97, and 6 of 40 are of the rare class: the mean F1 is then about 0.96."""
    draws, target_N, covered, runs = np.random.default_rng(0), np.array([0] * 34 + [1] * 6), 0, 150
    whole_N = np.tile(target_N, 5000)
    wrong_N = draws.random(len(whole_N)) > 0.97
    true = F1.value(answered(whole_N.tolist(), np.where(wrong_N, 1 - whole_N, whole_N).tolist()))
    for run in range(runs):
        predicted_N = np.where(draws.random(40) > 0.97, 1 - target_N, target_N)
        found = measure(answered(target_N.tolist(), predicted_N.tolist()), [F1], 0.05, run)["f1"]
        covered += found.low <= true <= found.high
    assert covered / runs > 0.9


def test_a_rare_class_of_which_no_item_changed_leaves_the_gate_open() -> None:
    """Two models that are equal on 98 common items and on two rare ones: the next rare one may yet part them."""
    gate = Gate(rules={"f1": "not worse by 0.05 than base"})
    rare, even = answered([0] * 98 + [1] * 2), answered([0, 1] * 50)
    said = []
    for each in (rare, even):
        found = compare(each, each, [F1, ACCURACY], 0.05, 0.8, 0)
        said.append(judge(gate, {"base": Standard("the base", found)}, {"f1": True}).decision)
        assert found["accuracy"].low == pytest.approx(-0.0192, abs=1e-4)  # 1.96 / 102
    assert said == ["not enough data", "promote"]


def sure(n: int, off: float, seed: int) -> Answers:
    """Two classes told with confidences from 0.5 to 1, and right as often as that less `off`."""
    draws = np.random.default_rng(seed)
    confidence_N, target_N = 0.5 + 0.5 * draws.beta(5, 2, n), draws.integers(0, 2, n)
    right_N = draws.random(n) < confidence_N - off
    predicted_N, chances_NL = np.where(right_N, target_N, 1 - target_N), np.empty((n, 2))
    chances_NL[np.arange(n), predicted_N], chances_NL[np.arange(n), 1 - predicted_N] = confidence_N, 1 - confidence_N
    ids = tuple(map(str, range(n)))
    return Answers(ids, np.ones(n), np.ones(n), ("a", "b"), target_N, predicted_N, chances_NL)


@pytest.mark.parametrize("off", [0.0, 0.1])
def test_a_calibration_errors_interval_covers_it_though_few_items_make_it_larger(off: float) -> None:
    """A calibrated model's error is 0; percentiles of resamples never reach down to it."""
    metric, runs = metrics.build("ece"), 60
    found = [measure(sure(80, off, run), [metric], 0.05, run)["ece"] for run in range(runs)]
    true = metric.value(sure(200_000, off, 1)) if off else 0.0
    assert sum(each.low <= true <= each.high for each in found) / runs >= 0.88
    assert all(each.low <= each.value <= each.high for each in found)
    assert (measure(sure(1000, off, 0), [metric], 0.05, 0)["ece"].low > 0) == bool(off), "a thousand items show a tenth"


def test_classes_that_are_wholly_parted_may_yet_overlap() -> None:
    """Wilson's lower end of 8 items that are all right, the smaller class's: 8 / (8 + 1.96²)."""
    chances_NL = np.column_stack([np.linspace(0, 1, 28), np.linspace(1, 0, 28)])
    target_N = np.array([1] * 20 + [0] * 8)
    answers = Answers(tuple(map(str, range(28))), np.ones(28), np.ones(28), ("a", "b"), target_N, target_N, chances_NL)
    for name in ("roc_auc", "pr_auc"):
        found = measure(answers, [metrics.build(name)], 0.05, 0)[name]
        assert (found.value, found.high, found.low) == (1.0, 1.0, pytest.approx(8 / (8 + 1.959964**2)))
