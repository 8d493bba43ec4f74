"""The verdict: each branch by construction, its sentences' numbers, and how often it is wrong."""

import json
import math
from collections.abc import Mapping, Sequence

import pytest

from affina.core.errors import Refused
from affina.core.gate import Gate
from affina.core.kinds import Metric, metrics
from affina.evaluation.compare import OTHER_TOKENS, Difference
from affina.evaluation.gate import Standard, Verdict, rising
from affina.evaluation.gate import judge as ruled

ACCURACY, F1, LOSS = (metrics.build(name) for name in ("accuracy", "f1", "loss"))


def difference(value: float, low: float, high: float, detectable: float, n: int = 200) -> Difference:
    return Difference(value, low, high, 0.5, detectable, n, "made up", value)


def judge(gate: Gate, found: Mapping[str, Difference], metrics: Sequence[Metric]) -> Verdict:
    return ruled(gate, {"base": Standard("the base", found)}, rising(metrics))


def judged(found: Difference, margin: float = 0.05) -> Verdict:
    return judge(Gate(margin=margin), {"accuracy": found}, [ACCURACY])


def test_an_interval_wholly_above_zero_promotes_however_small_the_difference() -> None:
    verdict = judged(difference(0.02, 0.01, 0.03, 0.014))
    assert (verdict.decision, verdict.metric, verdict.n_needed) == ("promote", "accuracy", None)
    assert verdict.reasons == ("accuracy rose by 0.02 (95 % interval +0.01 to +0.03, 200 items): better than the base",)


def test_an_interval_wholly_below_zero_rejects_as_worse() -> None:
    verdict = judged(difference(-0.2, -0.3, -0.1, 0.14))
    assert verdict.decision == "reject" and verdict.reasons[0].endswith("worse than the base")
    assert "fell by 0.2" in verdict.reasons[0]


def test_a_straddling_interval_that_could_not_have_shown_the_margin_needs_more_data() -> None:
    verdict = judged(difference(0.03, -0.04, 0.10, 0.10))
    # Twice the margin is detectable, so four times the items are needed.
    assert (verdict.decision, verdict.n_needed) == ("not enough data", 800)
    assert "200 items show with power 0.8 only a difference of 0.1 or more" in verdict.reasons[0]
    assert "about 800 items would show the margin of 0.05" in verdict.reasons[0]


def test_an_interval_that_ends_below_the_margin_rejects_as_not_worthwhile() -> None:
    verdict = judged(difference(-0.02, -0.07, 0.03, 0.07))
    assert verdict.decision == "reject" and "even the better end is below the margin of 0.05" in verdict.reasons[0]


def test_a_test_that_would_have_shown_the_margin_and_did_not_rejects() -> None:
    verdict = judged(difference(0.02, -0.014, 0.054, 0.0486))
    assert verdict.decision == "reject" and "would have shown the margin of 0.05 with power 0.8" in verdict.reasons[0]


def test_a_metric_that_falls_is_judged_in_its_own_direction() -> None:
    better = judge(Gate(), {"loss": difference(-0.5, -0.7, -0.3, 0.2)}, [LOSS])
    worse = judge(Gate(), {"loss": difference(0.5, 0.3, 0.7, 0.2)}, [LOSS])
    unsure = judge(Gate(), {"loss": difference(-0.1, -0.3, 0.1, 0.3)}, [LOSS])
    assert (better.decision, worse.decision, unsure.decision) == ("promote", "reject", "not enough data")
    assert (better.difference, better.low, better.high) == (-0.5, -0.7, -0.3)
    assert "fell by 0.5" in better.reasons[0] and unsure.n_needed == 7200  # 200 · (0.3 / 0.05)²


def test_every_other_rule_must_hold_too() -> None:
    rules = {"accuracy": "better than base", "f1": "better than base"}
    good, worse, open_ = (
        difference(0.3, 0.2, 0.4, 0.1),
        difference(-0.1, -0.2, -0.05, 0.1),
        difference(0, -0.1, 0.1, 0.15),
    )
    found = [judge(Gate(rules=rules), {"accuracy": good, "f1": each}, [ACCURACY, F1]) for each in (good, worse, open_)]
    assert [each.decision for each in found] == ["promote", "reject", "not enough data"]
    assert len(found[1].reasons) == 2 and found[1].reasons[1].endswith("items): worse than the base")
    assert found[2].n_needed == 1800  # 200 · (0.15 / 0.05)²
    assert judge(Gate(rules=rules), {"accuracy": worse, "f1": open_}, [ACCURACY, F1]).decision == "reject"


def test_the_gates_first_rule_decides_before_the_metrics_order() -> None:
    found = {"accuracy": difference(0.3, 0.2, 0.4, 0.1), "f1": difference(-0.3, -0.4, -0.2, 0.1)}
    assert judge(Gate(), found, [ACCURACY, F1]).metric == "accuracy"
    verdict = judge(Gate(rules={"f1": "better than base"}), found, [ACCURACY, F1])
    assert (verdict.metric, verdict.decision) == ("f1", "reject")


def test_a_rule_on_an_unmeasured_metric_is_refused() -> None:
    with pytest.raises(Refused, match="asks for f1, which is not measured"):
        judge(Gate(rules={"f1": "better than base"}), {"accuracy": difference(0, 0, 0, 1)}, [ACCURACY])


def test_what_cannot_be_compared_is_rejected_with_the_reason() -> None:
    found = Difference(math.nan, -math.inf, math.inf, 1.0, math.inf, 9, OTHER_TOKENS, math.nan)
    verdict = judge(Gate(), {"loss": found}, [LOSS])
    assert verdict.decision == "reject" and "different tokens" in verdict.reasons[0]
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_no_spread_at_all_means_not_enough_data_without_a_number() -> None:
    found = Difference(-0.4, -math.inf, math.inf, 1.0, math.inf, 1, "made up", 0.4)
    verdict = judge(Gate(), {"loss": found}, [LOSS])
    assert (verdict.decision, verdict.n_needed) == ("not enough data", None)


def test_no_difference_at_all_is_said_so() -> None:
    assert judged(difference(0.0, -0.01, 0.01, 0.014)).reasons[0].startswith("accuracy did not move (95 %")


FLAT = difference(0.0, -0.02, 0.02, 0.03)


def test_not_worse_holds_fails_or_stays_open_by_where_its_interval_lies() -> None:
    rule = {"accuracy": "not worse by 0.05 than base"}
    cases = {
        (-0.02, -0.04, 0.0, 0.03): ("promote", "not worse than the base by 0.05", None),
        (-0.2, -0.3, -0.1, 0.14): ("reject", "worse than the base by more than 0.05", None),
        (-0.02, -0.08, 0.04, 0.10): ("not enough data", "about 800 items would show it with power 0.8", 800),
        (-0.04, -0.07, -0.01, 0.04): ("reject", "not shown to be within 0.05 of the base, though 200 items", None),
        # Worse beyond doubt, and within what was allowed: the rule was written for that.
        (-0.02, -0.03, -0.01, 0.014): ("promote", "not worse than the base by 0.05", None),
    }
    for numbers, (decision, words, needed) in cases.items():
        found = judge(Gate(rules=rule), {"accuracy": difference(*numbers)}, [ACCURACY])
        assert (found.decision, found.n_needed) == (decision, needed)
        assert words in found.reasons[0]


def test_not_worse_is_turned_for_metrics_that_fall() -> None:
    rule = Gate(rules={"loss": "not worse by 0.1 than base"})
    said = [judge(rule, {"loss": difference(0.05, low, high, 0.05)}, [LOSS]).decision
            for low, high in ((0.01, 0.09), (0.15, 0.3), (-0.5, -0.2))]  # fmt: skip
    assert said == ["promote", "reject", "promote"]


def test_each_rule_is_held_against_its_own_standard_and_the_base_stands_for_what_is_absent() -> None:
    good, worse = difference(0.3, 0.2, 0.4, 0.1), difference(-0.1, -0.2, -0.05, 0.1)
    standards = {
        "base": Standard("the base", {"accuracy": good, "f1": good}),
        "parent": Standard("first (parent)", {"accuracy": worse, "f1": worse}),
        "live": Standard("the base, in the place of live (no release of it is live)", {"accuracy": good, "f1": good}),
    }
    gate = Gate(rules={"accuracy": "better than live", "f1": "not worse by 0.02 than parent"})
    found = ruled(gate, standards, rising([ACCURACY, F1]))
    assert found.decision == "reject"
    assert "better than the base, in the place of live (no release of it is live)" in found.reasons[0]
    assert found.reasons[1].endswith("worse than first (parent) by more than 0.02")
    assert (found.difference, found.metric) == (0.3, "accuracy")


def test_a_suites_statistic_is_a_rule_like_any_other() -> None:
    rules = {"accuracy": "better than base", "neutral_text.nats": "not worse by 0.05 than base"}
    standard = Standard("the base", {"accuracy": difference(0.3, 0.2, 0.4, 0.1), "neutral_text.nats": FLAT})
    up = {"accuracy": True, "neutral_text.nats": False}
    assert ruled(Gate(rules=rules), {"base": standard}, up).decision == "promote"
    forgot = {**standard.differences, "neutral_text.nats": difference(0.4, 0.3, 0.5, 0.1)}
    found = ruled(Gate(rules=rules), {"base": Standard("the base", forgot)}, up)
    assert found.decision == "reject" and "neutral_text.nats rose by 0.4" in found.reasons[1]


def test_the_items_needed_settle_every_open_rule() -> None:
    rules = {"accuracy": "better than base", "f1": "not worse by 0.05 than base"}
    found = {"accuracy": difference(0.03, -0.04, 0.10, 0.10), "f1": difference(0.0, -0.15, 0.15, 0.2)}
    verdict = judge(Gate(rules=rules), found, [ACCURACY, F1])
    assert verdict.decision == "not enough data"
    assert verdict.n_needed == 3200  # 200 · (.2 / .05)², which is above 200 · (.1 / .05)²
    found["f1"] = Difference(0.0, -math.inf, math.inf, 1.0, math.inf, 1, "made up", 0.0)
    assert judge(Gate(rules=rules), found, [ACCURACY, F1]).n_needed is None


def test_a_metric_without_a_value_fails_its_rule_with_a_sentence() -> None:
    found = Difference(math.nan, math.nan, math.nan, 1.0, math.nan, 9, "paired bootstrap", math.nan)
    verdict = judge(Gate(), {"f1": found}, [F1])
    assert verdict.decision == "reject" and verdict.reasons[0].startswith("f1 has no value on these items")


def test_nothing_is_decided_on_fewer_items_than_any_exact_test_needs() -> None:
    """Three of three won by chance alone: 1/8, which is more than α; the interval is above 0 all the same."""
    for gate in (Gate(), Gate(rules={"accuracy": "not worse by 0.05 than base"})):
        for found in (difference(1.0, 0.02, 1.0, 0.8, n=3), difference(-1.0, -1.0, -0.2, 0.8, n=5)):
            verdict = judge(gate, {"accuracy": found}, [ACCURACY])
            assert verdict.decision == "not enough data" and "fewer than 6 items" in verdict.reasons[0]
            assert verdict.n_needed == math.ceil(found.n * 16**2)  # 0.8 is detectable, 0.05 is asked
    # Of equal items nothing is known of the spread but that six of them are the fewest.
    same = judge(Gate(), {"accuracy": difference(0.5, 0.5, 0.5, 0.0, n=4)}, [ACCURACY])
    assert (same.decision, same.n_needed) == ("not enough data", 6)
