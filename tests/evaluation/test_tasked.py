"""A task's statistics: intervals as for metrics, exact tests for means of a column, ideals, slices, silent items."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from affina.core.errors import Refused
from affina.core.kinds import Floats, Model
from affina.core.task import Columns, Hall, Statistic, Task, Tested
from affina.evaluation.compare import MATCHED, MEANS, RESAMPLED
from affina.evaluation.statistics import agresti_min, mcnemar, wilson
from affina.evaluation.suite import distances
from affina.evaluation.tasked import differences, differing, measured, measuring, sliced


def ratio(columns: Columns) -> float:
    return float(columns["right"].sum() / columns["right"].size)


class Given(Task):
    """Columns that stand already: its statistics are a share, a mean, a share as a free statistic, and a bias."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        raise AssertionError("nothing is asked here")

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "accuracy": Statistic.mean("right"),
            "nats": Statistic.mean("nats", higher_is_better=False),
            "ratio": Statistic(ratio),
            "bias": Statistic.mean("right", ideal=0.5),
        }


def given(right: list[float], nats: list[float] | None = None, ids: list[str] | None = None) -> Tested:
    n = len(right)
    columns = {"right": np.array(right), "nats": np.array(nats or [float(i) for i in range(n)])}
    groups = tuple("odd" if i % 2 else "even" for i in range(n))
    return Tested(tuple(ids or [f"i{i}" for i in range(n)]), columns, slices={"parity": groups})


def test_a_share_has_wilsons_interval_and_a_mean_the_bootstraps() -> None:
    found = measured(given([1, 1, 1, 0] * 10), Given(), 0.05, 0)
    low, high = wilson(30, 40, 0.05)
    assert (found["accuracy"].value, found["accuracy"].low, found["accuracy"].high) == (0.75, low, high)
    # The mean of 0 … 39 is 19.5, its standard error sqrt((40² - 1) / 12 / 39) = 1.848: Student's interval.
    half = stats.t.ppf(0.975, 39) * math.sqrt((40**2 - 1) / 12 / 39)
    assert found["nats"].value == 19.5
    assert found["nats"].low == pytest.approx(19.5 - half, abs=0.2)
    assert found["nats"].high == pytest.approx(19.5 + half, abs=0.2)
    assert found["ratio"].value == 0.75
    assert found["ratio"].low == pytest.approx(float(low), abs=0.05)


def test_items_that_say_nothing_are_left_out_of_a_mean_and_counted_so() -> None:
    found = measured(given([1, math.nan, 0, 1]), Given(), 0.05, 0)["accuracy"]
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    silent = measured(given([math.nan] * 3), Given(), 0.05, 0)["accuracy"]
    assert silent.as_dict() == {"value": None, "low": None, "high": None, "n": 0}


def test_paired_shares_get_the_exact_test_whatever_order_the_items_came_in() -> None:
    a, b = [1, 0, 0, 0, 1, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    backwards = given(b[::-1], [0.0] * 10, [f"i{i}" for i in range(10)][::-1])
    found = differences(given(a), backwards, Given(), 0.05, 0.8, 0)
    low, high, _ = agresti_min(5, 1, 10, 0.05)
    accuracy = found["accuracy"]
    assert (accuracy.value, accuracy.low, accuracy.high) == (pytest.approx(0.4), low, high)
    assert (accuracy.p, accuracy.method, accuracy.n) == (mcnemar(5, 1), MATCHED, 10)
    assert found["nats"].method == MEANS and found["nats"].value == -4.5 and found["nats"].better == 4.5
    assert found["ratio"].method == RESAMPLED and found["ratio"].value == pytest.approx(0.4)
    # Exchanging six discordant items at random: all arrangements with |difference| ≥ 4 of 64, 14 / 64.
    assert found["ratio"].p == pytest.approx(14 / 64, abs=0.02)


def test_better_is_nearer_to_the_ideal_and_a_gate_reads_the_distance() -> None:
    a, b = given([1] * 80 + [0] * 20), given([1] * 45 + [0] * 55)
    found = differences(a, b, Given(), 0.05, 0.8, 0)["bias"]
    # 80 % → 45 %: it fell by 35 points and came 25 points nearer to 50 %.
    assert (found.value, found.better) == (pytest.approx(-0.35), pytest.approx(0.25))
    away = differing(a, b, distances(Given().statistics()), (0.05, 0.8, 0))["bias"]
    assert away.value == pytest.approx(-0.25) and away.better == pytest.approx(0.25)
    assert away.high < 0


def test_on_either_side_of_the_ideal_none_is_better_that_is_not_shown_to_be_nearer() -> None:
    """70 % → 42 %: it moved for certain, but in 100 items 20 points above a half are not shown to be more than 8 below.
    In 400 they are."""
    for times, better in ((1, 0.0), (4, 0.12)):
        a, b = given(([1] * 70 + [0] * 30) * times), given(([1] * 42 + [0] * 58) * times)
        found = differences(a, b, Given(), 0.05, 0.8, 0)["bias"]
        assert (found.value, found.better) == (pytest.approx(-0.28), pytest.approx(better)) and found.p < 1e-4


def test_one_answer_that_could_have_changed_keeps_equal_models_uncertain() -> None:
    same = given([1, 0] * 20)
    found = differences(same, same, Given(), 0.05, 0.8, 0)
    assert found["ratio"].value == 0 and found["ratio"].low < 0 < found["ratio"].high and found["ratio"].p == 1
    assert 0 < found["ratio"].detectable < 0.2


def test_items_that_say_nothing_make_nothing_surer() -> None:
    """Three of a hundred items speak. Their distance from a half is as unsure as three items alone make it."""
    whole, alone = (given([1, 0, 1] + [math.nan] * silent, [0.0] * (3 + silent)) for silent in (97, 0))
    biases = {"bias": distances(Given().statistics())["bias"]}
    found, sure = (differing(each, each, biases, (0.05, 0.8, 0))["bias"] for each in (whole, alone))
    assert found.n == sure.n == 3 and found.detectable == sure.detectable
    assert (found.low, found.high) == (sure.low, sure.high) and found.high > 0.5
    estimate = measuring(whole, biases, 0.05, 0)["bias"]
    assert estimate.n == 3 and estimate.low == 0


def test_an_arrangement_without_a_value_is_no_evidence() -> None:
    """Each model speaks to one item of two, another one. Exchanged at one item alone, both items are one model's and
    the other has no value: of four arrangements none is known to differ by less than what was seen."""

    def score(columns: Columns) -> float:
        known = columns["right"][~np.isnan(columns["right"])]
        return float(known.mean()) if len(known) else math.nan

    a, b = given([1, math.nan]), given([math.nan, 0])
    assert differing(a, b, {"score": Statistic(score)}, (0.05, 0.8, 0))["score"].p == 1


def test_an_item_counts_in_a_paired_mean_only_where_both_speak() -> None:
    found = differences(given([1, 1, math.nan, 0]), given([0, 1, 1, math.nan]), Given(), 0.05, 0.8, 0)["accuracy"]
    assert (found.value, found.n) == (-0.5, 2)
    none = differences(given([math.nan, 1]), given([1, math.nan]), Given(), 0.05, 0.8, 0)["accuracy"]
    assert not none.comparable and none.n == 0 and none.as_dict()["value"] is None


def test_a_statistic_of_sums_is_resampled_at_once_as_it_is_one_by_one() -> None:
    draws = np.random.default_rng(0)
    above_N, below_N = draws.random(30), draws.random(30) + 0.5
    one = Tested(tuple(map(str, range(30))), {"x.0": above_N, "x.1": below_N})
    two = Tested(one.ids, {"x.0": above_N + draws.random(30) / 5, "x.1": below_N})

    def totals(sums_BC: Floats) -> Floats:
        return np.asarray(sums_BC[:, 0] / sums_BC[:, 1])

    at_once = {"x": Statistic.summed("x", totals)}
    one_by_one = {"x": Statistic(lambda columns: float(columns["x.0"].sum() / columns["x.1"].sum()))}
    found = [measuring(one, each, 0.05, 0)["x"] for each in (at_once, one_by_one)]
    assert [found[0].value, found[0].low, found[0].high] == pytest.approx([found[1].value, found[1].low, found[1].high])
    apart = [differing(one, two, each, (0.05, 0.8, 0))["x"] for each in (at_once, one_by_one)]
    assert [apart[0].low, apart[0].high] == pytest.approx([apart[1].low, apart[1].high])
    assert apart[0].value == pytest.approx(apart[1].value) and apart[0].p == pytest.approx(apart[1].p, abs=0.01)


def test_one_item_has_no_interval() -> None:
    found = measured(given([1.0], [2.5]), Given(), 0.05, 0)["nats"]
    assert found.as_dict() == {"value": 2.5, "low": None, "high": None, "n": 1}


def test_every_group_of_a_slice_has_the_numbers_of_its_own_items() -> None:
    found = sliced(given([1, 0, 1, 0, 1]), Given(), 0.05, 0)["parity"]
    assert found["even"]["accuracy"].value == 1 and found["even"]["accuracy"].n == 3
    assert found["odd"]["accuracy"].value == 0
    assert sliced(given([1, 0, 1]), Given(), 0.05, 0)["parity"].keys() == {"even"}


def test_groups_that_differ_by_a_nul_at_their_end_stay_apart() -> None:
    both = Tested(("a", "b", "c", "d"), {"right": np.array([1.0, 1, 0, 0]), "nats": np.zeros(4)},
                  slices={"by": ("x", "x", "x\0", "x\0")})  # fmt: skip
    assert {name: found["accuracy"].value for name, found in sliced(both, Given(), 0.05, 0)["by"].items()} == {
        "x": 1, "x\0": 0,
    }  # fmt: skip


def test_other_items_another_task_and_no_items_are_refused() -> None:
    with pytest.raises(Refused, match="not put to the same items: 2 and 2 items, 1 of them shared"):
        differences(given([1, 0]), given([1, 0], ids=["i0", "x"]), Given(), 0.05, 0.8, 0)
    with pytest.raises(Refused, match="same task: only one of them has nats"):
        differences(given([1]), Tested(("i0",), {"right": np.array([1.0])}), Given(), 0.05, 0.8, 0)
    with pytest.raises(Refused, match="nothing to measure"):
        measured(given([]), Given(), 0.05, 0)
