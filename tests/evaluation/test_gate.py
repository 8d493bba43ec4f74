"""The verdict: each branch by construction, its sentences' numbers, and how often it is wrong."""

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.gate import Gate
from affina.core.kinds import Metric, metrics
from affina.evaluation.compare import OTHER_TOKENS, Difference, compare
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


def answered(right_N: "np.typing.NDArray[np.bool_]") -> Answers:
    n = len(right_N)
    target_N = np.zeros(n, np.int64)
    return Answers(tuple(map(str, range(n))), np.ones(n), np.ones(n), ("a", "b"), target_N, np.where(right_N, 0, 1))


def test_equal_models_are_rarely_promoted_and_a_real_gain_is_found_with_the_power_said() -> None:
    draws, runs, n = np.random.default_rng(0), 1500, 140
    decisions: dict[float, list[str]] = {0.0: [], 0.12: []}
    for gain, said in decisions.items():
        for _ in range(runs):
            # 20 % + gain of the items are won, 20 % lost: discordance 0.4 and 0.52
            cell_N = draws.choice(3, n, p=[0.2 + gain, 0.2, 0.6 - gain])
            base_N, tuned_N = cell_N != 0, cell_N != 1
            found = compare(answered(base_N), answered(tuned_N), [ACCURACY], 0.05, 0.8, 0)
            said.append(judge(Gate(margin=0.05), found, [ACCURACY]).decision)
    # 2.5 % and four standard errors, 4 · sqrt(.025·.975/1500) = 1.6 %
    assert decisions[0.0].count("promote") / runs <= 0.025 + 0.016
    # se = sqrt(.52 - .0144)/sqrt(140) = 0.0601; power = Φ(0.12/0.0601 - 1.96) = Φ(0.037) = 0.515
    assert decisions[0.12].count("promote") / runs == pytest.approx(0.515, abs=0.055)
    assert decisions[0.0].count("not enough data") > 0
