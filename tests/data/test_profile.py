import math
import random

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, fisher_exact
from shared_data import shared

from affina.core.example import Example, Labelled, Rated, Text
from affina.core.kinds import readers
from affina.data import profile
from affina.data.profile import Profile, compared, counted, divergence, stability, unseen


def profiled(examples: list[Example], *facts: str) -> Profile:
    made = Profile(facts)
    for each in examples:
        made.add(each)
    return made


def test_divergence_is_scipys_and_the_index_is_its_formula() -> None:
    first, second = np.array([10, 30, 0, 60]), np.array([25, 5, 20, 50])
    assert divergence(first, second) == pytest.approx(jensenshannon(first, second, 2) ** 2)
    assert divergence(first, first) == 0 and divergence(np.array([5, 0]), np.array([0, 9])) == pytest.approx(1)
    # half a row added to each: (0.5, 9.5) of 10 against (9.5, 0.5): 2 · 0.9 · ln 19
    assert stability(np.array([0, 9]), np.array([9, 0])) == pytest.approx(1.8 * math.log(19))


def test_the_permutation_test_agrees_with_fisher_and_with_chi_square() -> None:
    for first, second in (([50, 50], [60, 40]), ([20, 5], [12, 13])):
        found = counted(np.array(first), np.array(second), 0)
        assert found.p == pytest.approx(fisher_exact([first, second]).pvalue, abs=0.04)
    for first, second in (([30, 30, 40], [40, 25, 35]), ([300, 300, 400], [330, 320, 350])):
        found = counted(np.array(first), np.array(second), 0)
        assert found.p == pytest.approx(chi2_contingency([first, second]).pvalue, abs=0.04)


def test_chance_alone_is_named_as_often_as_it_should_be() -> None:
    draws = np.random.default_rng(0)
    ps = [counted(*draws.multinomial(80, [0.5, 0.3, 0.2], 2), n).p for n in range(200)]
    # of 200 true tests at 0.1, 20 ± 3 · √18 are expected, no fewer than 20 - 13 and no more than 20 + 13
    assert 7 <= sum(p <= 0.1 for p in ps) <= 33


def rows(count: int, words: str, label: str = "x", seed: int = 0) -> list[Example]:
    dice = random.Random(seed)
    return [
        Labelled(
            id=f"{seed}:{n}",
            text=" ".join(dice.choices(words.split(), k=dice.randrange(3, 9))),
            label=label,
            facts={"of": label},
        )
        for n in range(count)
    ]


COMMON = "the a of to in is it you that he was for on are with as I his they be at one"


def test_sets_of_one_kind_are_alike_in_everything() -> None:
    found = compared(profiled(rows(150, COMMON, seed=1), "of"), profiled(rows(80, COMMON, seed=2), "of"))
    assert set(found) == {"label", "of", "words", "vocabulary"} and all(each.p > 0.01 for each in found.values())


def test_what_differs_is_found_and_nothing_else() -> None:
    train = profiled([*rows(100, COMMON, "x", 1), *rows(50, COMMON, "y", 2)], "of")
    other = profiled([*rows(30, COMMON, "x", 3), *rows(50, COMMON, "y", 4)], "of")
    found = compared(train, other)
    assert found["label"].p == found["of"].p == 0.001 and found["label"].psi > 0.25
    assert min(found["words"].p, found["vocabulary"].p) > 0.01
    strange = profiled(rows(80, COMMON + " zebra zebra", "x", 5))
    assert compared(train, strange)["vocabulary"].p == 0.001 and 0.03 < unseen(train, strange) < 0.2
    long = profiled([Text(id=f"a:{n}", text=f"{COMMON} {COMMON}") for n in range(40)])
    assert compared(train, long)["words"].p == 0.001 and "label" not in compared(train, long)


def test_ratings_are_compared_by_their_range() -> None:
    low, high = (profiled([Rated(id=f"a:{n}", text="x", value=n % 10 + add) for n in range(60)]) for add in (0, 5))
    assert compared(low, low)["value"].p == 1 and compared(low, high)["value"].p == 0.001


def test_words_are_compared_text_by_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that few texts repeat often is no difference: were words drawn one by one it would be."""
    one = [Text(id=f"a:{n}", text="yes no " + "ping " * (30 * (n < 2))) for n in range(40)]
    two = [Text(id=f"b:{n}", text="no yes") for n in range(40)]
    assert compared(profiled(one), profiled(two))["vocabulary"].p > 0.05


def test_memory_holds_a_sample_drawn_by_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "SAMPLE", 20)
    given = rows(100, COMMON)
    once, again = profiled(given), profiled(given[::-1])
    assert len(once.sample) == 20 and sorted(map(str, once.sample)) == sorted(map(str, again.sample))
    assert once.rows == 100 and len(once.words) == 100


def test_nothing_and_one_row_make_profiles_too() -> None:
    empty, one = profiled([]), profiled([Text(id="a:1", text="!!!")])
    assert empty.told()["rows"] == 0 and compared(empty, one) == {}
    assert compared(one, one)["vocabulary"].p == 1 and one.told()["words"]["half"] == 0


def test_days_of_real_tweets_differ_where_they_should() -> None:
    path = shared("data", "tweets_trump_obama")
    held = {
        name: profiled([
            Text(id=f"a:{n}", text=str(record.values["text"]))
            for n, record in enumerate(readers.build("csv").records(path / f"{name}.csv"))
            if not record.problem
        ])
        for name in ("realDonaldTrump", "BarackObama")
    }  # fmt: skip
    found = compared(held["realDonaldTrump"], held["BarackObama"])
    assert found["vocabulary"].p == found["words"].p == 0.001 and found["vocabulary"].js > 0.1
