"""Paired differences: the right method for each metric, its sign, and what may not be compared."""

import json
import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.kinds import Floats, Ints, Metric, metrics
from affina.evaluation.compare import MATCHED, MEANS, OTHER_TOKENS, RESAMPLED, Difference, aligned, compare, means
from affina.evaluation.statistics import agresti_min, bootstrap, bootstrap_interval, detectable, mcnemar

LABELS = ("a", "b", "c")


def answered(n: int, right: float, seed: int, nats: float = 1.0) -> Answers:
    """Answers to the same items whatever the seed; `right` is the share answered rightly."""
    items, draws = np.random.default_rng(99), np.random.default_rng(seed)
    target_N, tokens_N = items.integers(0, 3, n), items.integers(1, 5, n).astype(np.float64)
    hard_N = items.gamma(2.0, 1.0, n)
    predicted_N = np.where(draws.random(n) < right, target_N, (target_N + 1) % 3)
    nats_N = nats * tokens_N * hard_N * np.exp(draws.normal(0, 0.2, n))
    ids = tuple(f"f:{i}" for i in range(n))
    expected = tuple(LABELS[i] for i in target_N)
    said = tuple(LABELS[i] for i in predicted_N)
    return Answers(ids, nats_N, tokens_N, LABELS, target_N, predicted_N, expected=expected, said=said)


def found(a: Answers, b: Answers, *names: str, seed: int = 0) -> dict[str, Difference]:
    return compare(a, b, [metrics.build(name) for name in names], 0.05, 0.8, seed)


def test_shares_of_items_are_compared_as_matched_proportions() -> None:
    a, b = answered(120, 0.5, 1), answered(120, 0.8, 2)
    assert a.target_N is not None and a.predicted_N is not None and b.predicted_N is not None
    right_a, right_b = np.equal(a.target_N, a.predicted_N), np.equal(a.target_N, b.predicted_N)
    gained, lost = int((right_b & ~right_a).sum()), int((right_a & ~right_b).sum())
    low, high, se = agresti_min(gained, lost, 120, 0.05)
    for name in ("accuracy", "exact_match"):
        difference = found(a, b, name)[name]
        assert difference.value == pytest.approx((gained - lost) / 120)
        assert (difference.low, difference.high) == (float(low), float(high))
        assert difference.p == mcnemar(gained, lost)
        assert difference.detectable == detectable(float(se), 0.05, 0.8)
        assert (difference.n, difference.method, difference.better) == (120, MATCHED, difference.value)


def test_better_has_the_sign_of_better_for_metrics_that_fall() -> None:
    difference = found(answered(80, 0.5, 1, nats=2.0), answered(80, 0.5, 2, nats=1.0), "loss")["loss"]
    assert difference.method == RESAMPLED
    assert difference.value < 0 < difference.better == -difference.value
    assert difference.high < 0 and difference.p < 0.01


def test_pairing_shows_what_unpaired_noise_would_hide() -> None:
    # Items differ by a factor of ten in difficulty; the second model is 10 % better on each.
    a = answered(60, 0.5, 1)
    b = replace(a, nats_N=0.9 * a.nats_N)
    difference = found(a, b, "loss")["loss"]
    assert difference.high < 0 and difference.low > -0.5


def test_swapping_the_models_turns_the_sign() -> None:
    a, b = answered(70, 0.5, 1), answered(70, 0.7, 2)
    there, back = found(a, b, "f1", "loss", "accuracy"), found(b, a, "f1", "loss", "accuracy")
    for name in there:
        assert there[name].value == pytest.approx(-back[name].value)
        assert there[name].low == pytest.approx(-back[name].high, abs=1e-9)
        assert there[name].p == pytest.approx(back[name].p, abs=1e-9)


def test_label_metrics_agree_with_accuracy_on_what_is_certain() -> None:
    difference = found(answered(150, 0.4, 1), answered(150, 0.8, 2), "f1", "precision", "recall")
    assert all(each.low > 0 and each.p < 0.001 and each.method == RESAMPLED for each in difference.values())


def test_identical_answers_still_leave_something_undetectable() -> None:
    a = answered(30, 0.6, 1)
    for name, difference in found(a, a, "accuracy", "f1", "precision", "recall", "exact_match").items():
        assert difference.value == 0 and difference.p == 1.0, name
        assert difference.low < 0 < difference.high, name
        # Half an item each way: at least 2.8 / 32
        assert difference.detectable >= 2.8 / 32 - 1e-3, name


class MeanNats(Metric):
    """Nats of an item, whatever its length."""

    reads: ClassVar[str] = "nats"
    higher_is_better: ClassVar[bool] = False

    def value(self, answers: Answers) -> float:
        return float(answers.nats_N.mean())

    def each(self, answers: Answers) -> Floats:
        return answers.nats_N


class Resampled(MeanNats):
    """The same without values of items."""

    def each(self, answers: Answers) -> None:  # type: ignore[override]
        return None


def test_values_of_items_give_the_same_interval_as_resampling_the_metric() -> None:
    a, b = answered(40, 0.5, 1), answered(40, 0.5, 2)
    fast = next(iter(compare(a, b, [MeanNats()], 0.05, 0.8, 5).values()))
    slow = next(iter(compare(a, b, [Resampled()], 0.05, 0.8, 5).values()))
    assert (fast.method, slow.method) == (MEANS, RESAMPLED)
    assert (fast.value, fast.low, fast.high, fast.detectable) == pytest.approx(
        (slow.value, slow.low, slow.high, slow.detectable), rel=1e-9
    )
    assert fast.p == slow.p


def test_a_seed_decides_everything() -> None:
    a, b = answered(40, 0.5, 1), answered(40, 0.6, 2)
    assert found(a, b, "f1", "loss", seed=4) == found(a, b, "f1", "loss", seed=4)


def test_other_items_are_refused_with_the_number_shared() -> None:
    a = answered(10, 0.5, 1)
    with pytest.raises(Refused, match="10 and 6 items, 6 of them shared"):
        found(a, a.take(np.arange(6)), "accuracy")


def test_the_same_items_in_another_order_are_put_in_order() -> None:
    a, b = answered(40, 0.5, 1), answered(40, 0.7, 2)
    shuffled = b.take(np.random.default_rng(0).permutation(40))
    assert found(a, shuffled, "accuracy", "loss") == found(a, b, "accuracy", "loss")


def test_labels_counted_in_another_order_are_matched_by_name() -> None:
    a, b = answered(50, 0.5, 1), answered(50, 0.7, 2)
    assert b.target_N is not None and b.predicted_N is not None
    turned = replace(b, labels=("c", "b", "a"), target_N=2 - b.target_N, predicted_N=2 - b.predicted_N)
    assert found(a, turned, "accuracy", "f1") == found(a, b, "accuracy", "f1")


def test_chances_and_right_sets_follow_their_labels_and_unknown_labels_have_none() -> None:
    a, b = answered(3, 1.0, 1), answered(3, 1.0, 1)
    chances_NL, truth_NL = np.array([[0.2, 0.5, 0.3]] * 3), np.array([[1, 0, 1]] * 3)
    a = replace(a, chances_NL=chances_NL, truth_NL=truth_NL)
    b = replace(
        b, labels=("d", "c", "b", "a"), target_N=3 - a.target_N, predicted_N=3 - a.predicted_N,
        chances_NL=np.array([[0.1, 0.3, 0.4, 0.2]] * 3), truth_NL=np.array([[0, 1, 0, 1]] * 3),
    )  # fmt: skip
    one, two = aligned(a, b)
    assert one.labels == two.labels == ("a", "b", "c", "d")
    assert one.chances_NL is not None and two.chances_NL is not None
    assert one.chances_NL[0].tolist() == [0.2, 0.5, 0.3, 0.0] and two.chances_NL[0].tolist() == [0.2, 0.4, 0.3, 0.1]
    assert np.array_equal(one.truth_NL, two.truth_NL) and np.array_equal(one.target_N, two.target_N)  # type: ignore[arg-type]


def test_other_right_numbers_sets_and_tags_are_refused_with_the_item() -> None:
    a = replace(
        answered(4, 1.0, 1),
        value_N=np.arange(4.0), truth_NL=np.eye(4, 3, dtype=np.int64), tags=(("O",), ("O", "B"), (), ("B",)),
        references=(("x",), ("y", "z"), ("x",), ("x",)),
    )  # fmt: skip
    other = replace(
        a, value_N=np.array([0.0, 1.5, 2.0, 3.0]), truth_NL=np.eye(4, 3, dtype=np.int64)[[0, 2, 2, 3]],
        tags=(("O",), ("O", "O"), (), ("B",)), references=(("x",), ("y",), ("x",), ("x",)),
    )  # fmt: skip
    for column in ("value_N", "truth_NL", "tags", "references"):
        with pytest.raises(Refused, match="f:1"):
            aligned(a, replace(a, **{column: getattr(other, column)}))
    aligned(a, a)


def test_an_answer_outside_the_labels_stays_outside_when_labels_are_matched() -> None:
    a, b = answered(20, 1.0, 1), answered(20, 1.0, 2)
    assert b.target_N is not None
    none = replace(b, labels=("c", "b", "a"), target_N=2 - b.target_N, predicted_N=np.full(20, -1))
    assert found(a, none, "accuracy")["accuracy"].value == -1.0


def test_other_right_answers_are_refused_with_the_item() -> None:
    a = answered(10, 0.5, 1)
    assert a.target_N is not None
    other_N = a.target_N.copy()
    other_N[4] = (other_N[4] + 1) % 3
    with pytest.raises(Refused, match="f:4"):
        found(a, replace(a, target_N=other_N), "accuracy")


def test_nats_of_other_tokens_are_not_compared_and_the_rest_is() -> None:
    a, b = answered(30, 0.5, 1), answered(30, 0.7, 2)
    difference = found(a, replace(b, tokens_N=np.ones(30)), "loss", "perplexity", "accuracy")
    assert difference["accuracy"].comparable
    for name in ("loss", "perplexity"):
        assert not difference[name].comparable and difference[name].method == OTHER_TOKENS
        json.dumps(difference[name].as_dict(), allow_nan=False)


def test_false_promotions_of_resampled_metrics_stay_within_alpha() -> None:
    # Models that differ only by chance, 300 comparisons of a macro F1, of which at most α/2 should come out better
    # by chance: with four standard errors, 2.5 % + 4 · sqrt(.025·.975/300) = 6.1 %.
    metric, better = metrics.build("f1"), 0
    for run in range(300):
        a, b = answered(40, 0.6, 2 * run), answered(40, 0.6, 2 * run + 1)

        def resampled(index_N: Ints, a: Answers = a, b: Answers = b) -> float:
            return metric.value(b.take(index_N)) - metric.value(a.take(index_N))

        value = metric.value(b) - metric.value(a)
        better += bootstrap_interval(value, bootstrap(resampled, 40, run, 200), 40, 0.05)[0] > 0
    assert better / 300 <= 0.061


def test_a_few_equal_differences_tell_no_spread() -> None:
    """Four items of which each gained one half: the sign-flip test says 2/16, and the interval must not say less."""
    value, low, high, p, se, _ = means(np.full(4, 0.5), 0.05, 0)
    assert (value, low, high, se) == (0.5, -math.inf, math.inf, math.inf) and p == pytest.approx(2 / 16, abs=0.02)
    assert means(np.full(6, 0.5), 0.05, 0)[1] == 0.5 and means(np.zeros(4), 0.05, 0)[1:3] == (0.0, 0.0)
