"""How often the gate errs: simulated models that are equal, better by the margin, or worse by the tolerance.

`alpha` is two-sided, so that of equal models at most α/2 may come out better.
"""

import math

import numpy as np
import pytest
from scipy import stats

from affina.core.answers import Answers
from affina.core.gate import Gate
from affina.core.kinds import Metric, metrics
from affina.core.task import Statistic, Tested
from affina.evaluation.compare import Difference, compare, matched
from affina.evaluation.gate import Standard, Verdict, judge
from affina.evaluation.statistics import agresti_min, bootstrap_interval, bootstrap_mean, detectable
from affina.evaluation.suite import distances
from affina.evaluation.tasked import differing

ALPHA, POWER = 0.05, 0.8
NOT_WORSE = {"accuracy": "not worse by 0.05 than base"}


def verdict(gate: Gate, found: Difference) -> Verdict:
    return judge(gate, {"base": Standard("the base", {"accuracy": found})}, {"accuracy": True})


def shares(gate: Gate, n: int, won: float, lost: float, runs: int = 8000, seed: int = 0) -> dict[str, float]:
    """How often each decision falls where so many items are won and lost; equal outcomes are judged once."""
    drawn = np.random.default_rng(seed).multinomial(n, [won, lost, 1 - won - lost], runs)[:, :2]
    cells, times = np.unique(drawn, axis=0, return_counts=True)
    low, high, se = agresti_min(cells[:, 0], cells[:, 1], n, gate.alpha)
    said: dict[str, float] = {"promote": 0.0, "reject": 0.0, "not enough data": 0.0}
    for place, (gained, fell) in enumerate(cells):
        value, least = (gained - fell) / n, detectable(float(se[place]), gate.alpha, gate.power)
        found = Difference(value, float(low[place]), float(high[place]), 1.0, least, n, "", value)
        said[verdict(gate, found).decision] += times[place] / runs
    return said


def within(rate: float, most: float, runs: int) -> bool:
    """At most `most`, four standard errors of a simulation aside."""
    return rate <= most + 4 * math.sqrt(most * (1 - most) / runs)


@pytest.mark.parametrize("n", [20, 60, 140, 500])
@pytest.mark.parametrize("discordant", [0.1, 0.4])
def test_of_equal_models_at_most_half_alpha_is_promoted(n: int, discordant: float) -> None:
    said = shares(Gate(), n, discordant / 2, discordant / 2)
    assert within(said["promote"], ALPHA / 2, 8000)


def test_a_gain_of_the_margin_is_found_with_the_power_that_was_computed() -> None:
    # se = sqrt(.45 - .05²) / sqrt(n) and (1.960 + 0.842)·se = .05 at n = 7.849 · .4475 / .0025 = 1405
    said = shares(Gate(margin=0.05), 1405, 0.25, 0.20, 3000)
    assert said["promote"] == pytest.approx(POWER, abs=4 * math.sqrt(0.16 / 3000))


def test_the_items_said_to_be_needed_reach_the_power() -> None:
    gate, draws, needed = Gate(margin=0.1), np.random.default_rng(1), []
    for gained, fell, _ in draws.multinomial(100, [0.3, 0.2, 0.5], 300):
        low, high, se = agresti_min(gained, fell, 100, ALPHA)
        value, least = (gained - fell) / 100, detectable(float(se), ALPHA, POWER)
        found = verdict(gate, Difference(value, float(low), float(high), 1.0, least, 100, "", value))
        needed += [found.n_needed] if found.n_needed else []
    assert len(needed) > 100, "a hundred items are too few to show 0.1"
    said = shares(gate, int(np.median(needed)), 0.3, 0.2, 4000)
    assert said["promote"] >= POWER - 4 * math.sqrt(0.16 / 4000)


@pytest.mark.parametrize("n", [20, 100, 500])
def test_a_model_that_is_worse_by_the_tolerance_passes_with_half_alpha_at_most(n: int) -> None:
    said = shares(Gate(rules=NOT_WORSE), n, 0.15, 0.20)
    assert within(said["promote"], ALPHA / 2, 8000)


def test_an_equal_model_is_shown_not_to_be_worse_with_the_power_that_was_computed() -> None:
    # se = sqrt(.4) / sqrt(n) and (1.960 + 0.842)·se = .05 at n = 7.849 · .4 / .0025 = 1256
    said = shares(Gate(rules=NOT_WORSE), 1256, 0.2, 0.2, 3000)
    assert said["promote"] == pytest.approx(POWER, abs=4 * math.sqrt(0.16 / 3000))


@pytest.mark.parametrize(("n", "runs"), [(20, 300), (60, 300)])
def test_means_of_skewed_differences_keep_the_level_and_the_tolerance(n: int, runs: int) -> None:
    """Differences of two log-normal losses: long tails on both sides, as per-item nats have."""
    draws, promoted, passed = np.random.default_rng(n), 0, 0
    rule = Gate(rules={"accuracy": "not worse by 0.5 than base"})
    for run in range(runs):
        differences_N = draws.lognormal(0, 1, n) - draws.lognormal(0, 1, n)
        for shift, gate in ((0.0, Gate()), (-0.5, rule)):
            moved_N = differences_N + shift
            value = float(moved_N.mean())
            low, high, se = bootstrap_interval(value, bootstrap_mean(moved_N, run, 500), n, ALPHA)
            found = Difference(value, low, high, 1.0, detectable(se, ALPHA, POWER), n, "", value)
            holds = verdict(gate, found).decision == "promote"
            promoted, passed = promoted + (holds and not shift), passed + (holds and shift < 0)
    assert within(promoted / runs, ALPHA / 2, runs) and within(passed / runs, ALPHA / 2, runs)


@pytest.mark.slow
def test_a_model_that_leaves_the_ideal_by_the_tolerance_passes_with_alpha_at_most() -> None:
    """The base prefers neither side, the tuned model one by 0.1 too often: the base's distance is all chance, which the
    bootstrap alone takes for distance (8.5 % of 600 such models passed, 3.3 % by the ends used here)."""
    statistics = distances({"bias": Statistic.mean("right", ideal=0.5)})
    draws, runs, n, passed = np.random.default_rng(3), 300, 60, 0
    rule = Gate(rules={"suite.bias": "not worse by 0.1 than base"})
    for run in range(runs):
        first_N = draws.random(n)
        second_N = np.where(draws.random(n) < 0.6, first_N, draws.random(n))
        base, after = (
            Tested(tuple(map(str, range(n))), {"right": (each_N < share).astype(np.float64)})
            for each_N, share in ((first_N, 0.5), (second_N, 0.4))
        )
        found = {"suite.bias": differing(base, after, statistics, (ALPHA, POWER, run))["bias"]}
        passed += judge(rule, {"base": Standard("the base", found)}, {"suite.bias": False}).decision == "promote"
    assert passed / runs <= ALPHA


@pytest.mark.parametrize("right", [36, 24])
def test_a_distance_from_the_ideal_may_have_grown_by_all_that_the_side_moved(right: int) -> None:
    """Half of 60 items before, 36 or 24 after: no distance before, so the new one is the difference itself."""
    base, after = (
        Tested(tuple(map(str, range(60))), {"right": (np.arange(60) < count).astype(np.float64)})
        for count in (30, right)
    )
    leaning = Statistic.mean("right", ideal=0.5)
    moved = differing(base, after, {"bias": leaning}, (ALPHA, POWER, 0))["bias"]
    grown = differing(base, after, distances({"bias": leaning}), (ALPHA, POWER, 0))["bias"]
    assert grown.value == pytest.approx(abs(moved.value)) == pytest.approx(0.1)
    assert grown.low < -0.13 and grown.high >= max(abs(moved.low), abs(moved.high)) - 0.01


def answered(target_N: np.ndarray, right: float, draws: np.random.Generator) -> Answers:
    n = len(target_N)
    predicted_N = np.where(draws.random(n) < right, target_N, (target_N + draws.integers(1, 3, n)) % 3)
    return Answers(tuple(map(str, range(n))), np.ones(n), np.ones(n), ("a", "b", "c"), target_N, predicted_N)


def decided(metric: Metric, n: int, right: tuple[float, float], gate: Gate, runs: int) -> list[str]:
    """The gate's decisions on two models that answer so much rightly, through the whole comparison."""
    draws, said = np.random.default_rng(n), []
    for run in range(runs):
        target_N = draws.integers(0, 3, n)
        both = [answered(target_N, share, draws) for share in right]
        found = compare(both[0], both[1], [metric], gate.alpha, gate.power, run)
        said.append(judge(gate, {"base": Standard("the base", found)}, {metric.name: True}).decision)
    return said


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n"), [("f1", 20), ("f1", 60), ("accuracy", 20), ("mcc", 60)])
def test_equal_models_through_the_whole_comparison_are_promoted_with_half_alpha_at_most(name: str, n: int) -> None:
    said = decided(metrics.build(name), n, (0.6, 0.6), Gate(), 500)
    assert within(said.count("promote") / 500, ALPHA / 2, 500)


@pytest.mark.slow
def test_a_resampled_metric_finds_a_gain_with_about_the_power_that_its_items_have() -> None:
    metric, gate, n, runs = metrics.build("f1"), Gate(margin=0.1), 300, 200
    draws = np.random.default_rng(5)
    target_N = draws.integers(0, 3, n)
    pilots = [[answered(target_N, share, draws) for share in (0.6, 0.7)] for _ in range(12)]
    spread = [compare(a, b, [metric], ALPHA, POWER, 0)[metric.name].detectable / (1.96 + 0.8416) for a, b in pilots]
    expected = 0.5 * math.erfc(-(0.1 / float(np.mean(spread)) - 1.96) / math.sqrt(2))  # Φ(δ/se - z)
    found = decided(metric, n, (0.6, 0.7), gate, runs).count("promote") / runs
    assert found == pytest.approx(expected, abs=4 * math.sqrt(0.25 / runs))


@pytest.mark.parametrize("n", [2, 5, 6, 7, 10, 18])
def test_of_few_items_too_equal_models_are_promoted_with_half_alpha_at_most(n: int) -> None:
    """Summed over every outcome: discordant items are Binomial(n, ψ), gains among them Binomial(k, 1/2). By the
    interval alone, 7 items of which 6 are won and 1 is lost would be promoted, which chance makes in 6 %."""
    won = np.zeros((n + 1, n + 1))
    for k in range(n + 1):
        for gained in range(k + 1):
            before, after = [0] * gained + [1] * (n - gained), [1] * (n - k + gained) + [0] * (k - gained)
            value, low, high, p, se, _ = matched(np.array(before), np.array(after), ALPHA)
            found = Difference(value, low, high, p, detectable(se, ALPHA, POWER), n, "", value)
            won[k, gained] = verdict(Gate(), found).decision == "promote"
    for discordant in np.linspace(0.05, 1.0, 20):
        chances = [stats.binom.pmf(k, n, discordant) * stats.binom.pmf(np.arange(n + 1), k, 0.5) for k in range(n + 1)]
        assert float((np.array(chances) * won).sum()) <= ALPHA / 2
