"""Intervals and tests against scipy, published numbers, arithmetic, and the rates they promise in simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from affina.core.kinds import Floats
from affina.evaluation.statistics import (
    agresti_min,
    around,
    bootstrap,
    bootstrap_interval,
    bootstrap_mean,
    detectable,
    holm,
    mcnemar,
    n_needed,
    percentiles,
    permutation_p,
    sign_flip_p,
    wilson,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (81, 263), (10, 10), (1, 1), (4999, 5000)])
@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.32])
def test_wilson_equals_scipy(successes: int, n: int, alpha: float) -> None:
    low, high = wilson(successes, n, alpha)
    other = stats.binomtest(successes, n).proportion_ci(1 - alpha, method="wilson")
    assert (float(low), float(high)) == pytest.approx((other.low, other.high), abs=1e-12)


def test_wilson_of_newcombes_published_example() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81 of 263 gives 0.2553 to 0.3662.
    low, high = wilson(81, 263, 0.05)
    assert (round(float(low), 4), round(float(high), 4)) == (0.2553, 0.3662)


def test_agresti_min_by_arithmetic() -> None:
    # n 100, gained 20, lost 10: N* = 102, up 20.5, down 10.5, difference 10/102 = 0.0980392;
    # se = sqrt(31 - 100/102) / 102 = sqrt(30.0196) / 102 = 0.0537158; half = 1.959964 · 0.0537158 = 0.1052810
    low, high, se = agresti_min(20, 10, 100, 0.05)
    assert float(se) == pytest.approx(0.0537158, abs=1e-6)
    assert (float(low), float(high)) == pytest.approx((-0.0072418, 0.2033202), abs=1e-6)


def test_agresti_min_knows_that_no_discordant_item_is_not_certainty() -> None:
    low, high, se = agresti_min(0, 0, 50, 0.05)
    # se = sqrt(1) / 52
    assert float(se) == pytest.approx(1 / 52) and float(low) == pytest.approx(-float(high))
    assert detectable(float(se), 0.05, 0.8) > 0.05


def test_mcnemar_by_arithmetic() -> None:
    # 5 gains and no loss: 2 · (1/2)^5; 1 and 7: 2 · (1 + 8) / 2^8; none: nothing to tell
    assert mcnemar(5, 0) == pytest.approx(0.0625)
    assert mcnemar(1, 7) == pytest.approx(2 * 9 / 256)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(7, 1) == mcnemar(1, 7)


def test_false_promotions_stay_within_alpha_when_there_is_no_difference() -> None:
    draws = np.random.default_rng(0)
    runs, alpha = 20_000, 0.05
    for n in (20, 60, 150, 600):
        for discordant in (0.02, 0.1, 0.3, 0.6):
            cells = draws.multinomial(n, [discordant / 2, discordant / 2, 1 - discordant], runs)
            low, high, _ = agresti_min(cells[:, 0], cells[:, 1], n, alpha)
            # Four standard errors of alpha/2 over the runs are 4 · sqrt(.025·.975/20000) = 0.0044; of alpha 0.0062.
            # Counts are discrete, so that a side may exceed its half of alpha a little (exactly: below).
            assert float((low > 0).mean()) <= alpha / 2 + 0.0044 + 0.006, (n, discordant)
            assert float(((low > 0) | (high < 0)).mean()) <= alpha + 0.0062 + 0.012, (n, discordant)


@pytest.mark.parametrize(("n", "worst"), [(20, 0.034), (60, 0.028), (150, 0.031), (600, 0.028)])
def test_the_exact_rate_of_false_promotions_is_near_half_of_alpha_at_worst(n: int, worst: float) -> None:
    # Summed over every outcome: discordant items are Binomial(n, ψ), gains among them Binomial(k, 1/2).
    for discordant in np.linspace(0.05, 1.0, 20):
        rate = 0.0
        for k in range(n + 1):
            gained_K = np.arange(k + 1)
            better_K = agresti_min(gained_K, k - gained_K, n, 0.05)[0] > 0
            rate += stats.binom.pmf(k, n, discordant) * stats.binom.pmf(gained_K, k, 0.5)[better_K].sum()
        assert rate <= worst, discordant


def test_the_power_computed_is_the_power_found() -> None:
    draws = np.random.default_rng(1)
    runs, alpha = 20_000, 0.05
    for n, discordant, power in ((150, 0.3, 0.8), (600, 0.2, 0.8), (400, 0.4, 0.9)):
        # The difference at which the computed one equals itself: a fixed point, since se depends on it.
        difference = 0.1
        for _ in range(50):
            gained, lost = n * (discordant + difference) / 2, n * (discordant - difference) / 2
            difference = detectable(float(agresti_min(gained, lost, n, alpha)[2]), alpha, power)
        up, down = (discordant + difference) / 2, (discordant - difference) / 2
        cells = draws.multinomial(n, [up, down, 1 - up - down], runs)
        found = float((agresti_min(cells[:, 0], cells[:, 1], n, alpha)[0] > 0).mean())
        assert found == pytest.approx(power, abs=0.03), (n, discordant)


def test_the_items_said_to_be_needed_give_the_power() -> None:
    n, margin = 120, 0.05
    se = float(agresti_min(18, 18, n, 0.05)[2])
    needed = n_needed(n, detectable(se, 0.05, 0.8), margin)
    assert needed is not None and needed > n
    draws, discordant = np.random.default_rng(2), 37 / 122
    up, down = (discordant + margin) / 2, (discordant - margin) / 2
    cells = draws.multinomial(needed, [up, down, 1 - up - down], 20_000)
    assert float((agresti_min(cells[:, 0], cells[:, 1], needed, 0.05)[0] > 0).mean()) == pytest.approx(0.8, abs=0.03)


def test_n_needed_by_arithmetic() -> None:
    # Half the difference needs four times the items; what is just detectable needs what there is.
    assert n_needed(100, 0.1, 0.05) == 400
    assert n_needed(100, 0.05, 0.05) == 100
    assert n_needed(1, math.inf, 0.05) is None


def test_the_bootstrap_interval_is_close_to_scipys_percentiles() -> None:
    values_N = np.random.default_rng(3).gamma(2.0, 1.0, 300)
    low, high = percentiles(bootstrap_mean(values_N, 0, 10_000), 300, 0.05)
    _, _, se = bootstrap_interval(float(values_N.mean()), bootstrap_mean(values_N, 0, 10_000), 300, 0.05)
    other = stats.bootstrap((values_N,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(4))
    width = other.confidence_interval.high - other.confidence_interval.low
    assert low == pytest.approx(other.confidence_interval.low, abs=0.08 * width)
    assert high == pytest.approx(other.confidence_interval.high, abs=0.08 * width)
    assert se == pytest.approx(float(stats.sem(values_N)), rel=0.05)


def test_the_bootstrap_of_a_mean_draws_as_the_general_one_does() -> None:
    values_N = np.random.default_rng(5).normal(size=40)
    one_by_one = bootstrap(lambda index_N: float(values_N[index_N].mean()), 40, seed=7, resamples=200)
    assert np.allclose(one_by_one, bootstrap_mean(values_N, seed=7, resamples=200), rtol=1e-12)


def test_drawing_in_pieces_changes_nothing() -> None:
    values_N = np.random.default_rng(6).normal(size=90_000)
    expected = bootstrap(lambda index_N: float(values_N[index_N].mean()), 90_000, seed=1, resamples=60)
    assert np.allclose(bootstrap_mean(values_N, seed=1, resamples=60), expected, rtol=1e-12)


def covers(draw: "np.random.Generator", n: int, runs: int) -> Floats:
    """For skewed differences of mean zero: -1, 0 or 1 as the interval lies below, around or above zero."""
    sides = []
    for _ in range(runs):
        values_N = draw.gamma(2.0, 1.0, n) - draw.gamma(2.0, 1.0, n)
        resampled_B = bootstrap_mean(values_N, int(draw.integers(2**31)), 400)
        low, high, _ = bootstrap_interval(float(values_N.mean()), resampled_B, n, 0.05)
        sides.append(float(low > 0) - float(high < 0))
    return np.array(sides)


@pytest.mark.parametrize("n", [3, 6, 12, 40])
def test_the_bootstrap_interval_keeps_its_level_even_for_few_items(n: int) -> None:
    runs = 3000
    sides = covers(np.random.default_rng(8), n, runs)
    # Four standard errors of 0.025 over the runs are 0.0114, and the same of 0.05 are 0.0159.
    assert float((sides > 0).mean()) <= 0.025 + 0.0114
    assert float((sides != 0).mean()) <= 0.05 + 0.0159


def test_one_item_says_nothing_of_the_spread() -> None:
    assert bootstrap_interval(2.0, np.full(10, 2.0), 1, 0.05) == (-math.inf, math.inf, math.inf)
    assert percentiles(np.full(10, 2.0), 1, 0.05) == (-math.inf, math.inf)


def test_percentiles_are_widened_as_hesterberg_says() -> None:
    # n 10: t_{.975,9} = 2.2622; Φ(-sqrt(10/9) · 2.2622) = Φ(-2.3845) = 0.00855, not 0.025
    uniform_B = np.linspace(0, 1, 100_001)
    assert percentiles(uniform_B, 10, 0.05) == pytest.approx((0.00855, 0.99145), abs=2e-5)


def test_an_interval_holds_the_number_it_is_of() -> None:
    """The largest of several gaps only grows where items are drawn again."""
    above_B = np.linspace(0.2, 0.4, 1001)
    assert around(0.1, above_B, 50, 0.05)[0] == 0.1 and around(0.3, above_B, 50, 0.05) == percentiles(above_B, 50, 0.05)


def test_sign_flips_and_scipys_permutation_test_agree() -> None:
    values_N = np.random.default_rng(9).normal(0.25, 1.0, 50)
    other = stats.permutation_test(
        (values_N, np.zeros(50)), lambda x, y: np.mean(x - y), permutation_type="samples",
        n_resamples=20_000, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert sign_flip_p(values_N, 0, 20_000) == pytest.approx(other.pvalue, abs=0.012)


def test_the_permutation_test_of_a_mean_is_the_sign_flip_test() -> None:
    values_N = np.random.default_rng(10).normal(0.3, 1.0, 30)
    general = permutation_p(lambda flip_N: float(np.where(flip_N, -values_N, values_N).mean()), 30, 1, 1000)
    assert general == sign_flip_p(values_N, 1, 1000)


def test_p_values_are_uniform_when_there_is_no_difference() -> None:
    draws = np.random.default_rng(11)
    found = np.array([sign_flip_p(draws.normal(size=15), int(draws.integers(2**31)), 300) for _ in range(2000)])
    # Four standard errors: 4 · sqrt(.05·.95/2000) = 0.0195
    assert float((found <= 0.05).mean()) <= 0.05 + 0.0195
    assert stats.kstest(found, "uniform").pvalue > 0.001


def test_no_difference_at_all_has_p_one() -> None:
    assert sign_flip_p(np.zeros(20), 0, 100) == 1.0


def test_holm_is_the_textbook_example_and_its_definition() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, and never below the one before: .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]
    draws = np.random.default_rng(0)
    for size in (1, 3, 17):
        p_values = draws.random(size) ** 3
        scaled = {float(p): min(1.0, float((p_values >= p).sum() * p)) for p in p_values}
        defined = [max(each for p, each in scaled.items() if p <= mine) for mine in p_values]
        assert holm(list(p_values)) == pytest.approx(defined)
