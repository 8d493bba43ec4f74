"""Slices: who is in which, what moved there, and how many may be called worse by chance."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Labelled
from affina.core.gate import Gate
from affina.core.kinds import metrics
from affina.evaluation.regressions import groupings, regressions
from affina.evaluation.statistics import agresti_min, fewest

ACCURACY, F1, AUC = (metrics.build(name) for name in ("accuracy", "f1", "roc_auc"))
HOSTILE = "</td><script>alert(1)</script>\x00"


def answered(right: list[int]) -> Answers:
    """One item per number, its class "a" and "b" in turn; 1 where it is answered rightly."""
    target_N = np.arange(len(right)) % 2
    predicted_N = np.where(np.array(right) == 1, target_N, 1 - target_N)
    chances_NL = np.eye(2)[predicted_N] * 0.8 + 0.1
    ids = tuple(f"f:{n}" for n in range(len(right)))
    return Answers(ids, np.ones(len(right)), np.ones(len(right)), ("a", "b"), target_N, predicted_N, chances_NL)


def examples(facts: list[str], sizes: list[int] | None = None) -> list[Labelled]:
    sizes = sizes or [3] * len(facts)
    return [
        Labelled(id=f"f:{n}", text="x" * size, label="ab"[n % 2], labels=("a", "b"), facts={"region": fact})
        for n, (fact, size) in enumerate(zip(facts, sizes, strict=True))
    ]


def test_the_slice_that_got_worse_is_named_first_with_its_exact_numbers() -> None:
    # North: 12 of 20 lost; south: 10 of 20 won; west: as before.
    regions = ["north"] * 20 + ["south"] * 20 + ["west"] * 20
    a = answered([1] * 20 + [0] * 10 + [1] * 30)
    b = answered([0] * 12 + [1] * 48)
    found = regressions(a, b, ACCURACY, {"region": regions}, Gate(), 0)
    assert [(each.group, each.found) for each in found] == [
        ("north", "worse"), ("west", "no difference shown"), ("south", "better"),
    ]  # fmt: skip
    worst = found[0]
    assert (worst.a, worst.b, worst.difference.value, worst.difference.n) == (1.0, 0.4, -0.6, 20)
    low, high, _ = agresti_min(0, 12, 20, 0.05)
    assert (worst.difference.low, worst.difference.high) == (float(low), float(high))
    # Three slices: the smallest p three times (12 losses, no gain), the next twice, as Holm says.
    assert worst.p_adjusted == pytest.approx(3 * stats.binomtest(0, 12).pvalue)
    assert found[2].p_adjusted == pytest.approx(2 * stats.binomtest(10, 10).pvalue)


def test_of_many_slices_of_equal_models_seldom_any_is_called_worse_or_better() -> None:
    draws, runs, called = np.random.default_rng(0), 60, 0
    regions = [f"r{n % 12}" for n in range(240)]
    for _ in range(runs):
        both = [answered(list(draws.integers(0, 2, 240))) for _ in range(2)]
        found = regressions(both[0], both[1], ACCURACY, {"region": regions}, Gate(), 0)
        called += any(each.found in ("worse", "better") for each in found)
    assert called / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)  # one at a time it would be 1 - 0.96¹² = 39 %


def test_slices_too_small_for_any_finding_take_nothing_from_the_others() -> None:
    regions = ["large"] * 10 + [f"small {n // 2}" for n in range(10)]
    found = {
        each.group: each
        for each in regressions(answered([1] * 20), answered([0] * 20), ACCURACY, {"r": regions}, Gate(), 0)
    }
    assert found["large"].p_adjusted == pytest.approx(stats.binomtest(0, 10).pvalue)
    assert found["large"].found == "worse"
    assert {(each.p_adjusted, each.found) for name, each in found.items() if name != "large"} == {
        (None, "too few items")
    }


def test_the_fewest_items_are_those_whose_unanimity_is_significant() -> None:
    for alpha in (0.2, 0.05, 0.01):
        n = fewest(alpha)
        assert stats.binomtest(0, n).pvalue <= alpha < stats.binomtest(0, n - 1).pvalue


@pytest.mark.filterwarnings("error")
def test_a_metric_without_a_value_in_a_slice_says_so_and_stands_last() -> None:
    both = answered([1, 0] * 20), answered([0, 1] * 20)
    found = regressions(*both, AUC, {"class": [both[0].labels[code] for code in both[0].target_N]}, Gate(), 0)  # type: ignore[union-attr]
    # All of one class: no pair to be put in order, so the area is not defined (or 0 by convention) and nothing moved.
    assert {each.group for each in found} == {"a", "b"}
    assert all(each.found == "no value" or each.difference.value == 0 for each in found)
    json.dumps([each.as_dict() for each in found], allow_nan=False)


def test_single_items_equal_answers_and_no_groups_at_all_are_no_regressions() -> None:
    a = answered([1, 0, 1, 1])
    assert regressions(a, a, ACCURACY, {"r": ["w", "x", "y", "z"]}, Gate(), 0) == []
    assert regressions(a, a, ACCURACY, {}, Gate(), 0) == []
    alike = regressions(a, a, F1, {"r": ["x", "x", "y", "y"]}, Gate(), 0)
    assert {each.found for each in alike} == {"too few items"} and {each.difference.value for each in alike} == {0.0}


def test_items_are_grouped_by_column_class_and_quarter_of_their_length() -> None:
    a = answered([1] * 8)
    found = groupings(examples(["n", "", "n", "s"] * 2, [1, 2, 3, 4, 5, 6, 7, 800]), a, ["region"])
    assert found["region"] == ("n", "(empty)", "n", "s") * 2
    assert found["class"] == ("a", "b") * 4
    assert found["length"] == tuple(name for name in ("Q1 (1–2)", "Q2 (3–4)", "Q3 (5–6)", "Q4 (7–800)") for _ in "ab")


def test_what_all_items_share_is_no_grouping_and_a_long_text_is_one_example() -> None:
    rows = replace(answered([1, 1]), target_N=None, ids=("f:0#1", "f:0#2"))
    assert groupings(examples(["n"]), rows) == {}


def test_a_column_that_was_not_kept_is_refused_with_those_that_were() -> None:
    with pytest.raises(Refused, match=r"no column 'regions' to be divided by\. did you mean 'region'"):
        groupings(examples(["n", "s"]), answered([1, 1]), ["regions"])
    with pytest.raises(Refused, match="name a column of the data"):
        groupings(examples(["", ""]), answered([1, 1]), ["region"])


def test_rare_values_of_a_column_are_one_group_and_hostile_names_stay_text() -> None:
    names = [HOSTILE] * 12 + [f"v{n}" for n in range(60)]
    found = groupings(examples(names), answered([1] * 72), ["region"])["region"]
    assert found[0] == HOSTILE and len(set(found)) == 50
    a, b = answered([1] * 72), answered([0] * 12 + [1] * 60)
    first = regressions(a, b, ACCURACY, {"region": found}, Gate(), 0)[0]
    assert (first.group, first.found, first.difference.n) == (HOSTILE, "worse", 12)
