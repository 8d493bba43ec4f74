"""Iterative stratification and ranges of numbers: shares are kept label by label, part by part."""

from collections import Counter

import numpy as np
import pytest

from affina.data.stratify import binned, dealt

SHARES = {"train": 0.7, "test": 0.2, "validation": 0.1}


def counts(groups: list[list[tuple[str, ...]]], splits: list[str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {split: Counter() for split in SHARES}
    for rows, split in zip(groups, splits, strict=True):
        for row in rows:
            found[split].update(["", *row])
    return found


def made(seed: int, rows: int = 600) -> list[list[tuple[str, ...]]]:
    """Label k is right with probability 2^-k, independently: as uneven as topics of papers are."""
    dice = np.random.default_rng(seed)
    drawn = dice.random((rows, 6)) < 0.5 ** np.arange(1, 7)
    return [[tuple(f"l{k}" for k in range(6) if row[k])] for row in drawn]


@pytest.mark.parametrize("seed", range(3))
def test_every_label_keeps_its_share_to_a_few_rows(seed: int) -> None:
    groups = made(seed)
    found = counts(groups, dealt(groups, SHARES))
    total = sum(found.values(), Counter[str]())
    for split, share in SHARES.items():
        for label, times in total.items():
            assert abs(found[split][label] - share * times) <= 3, (split, label)


def test_labels_are_kept_closer_than_by_chance() -> None:
    groups = made(0)
    dice = np.random.default_rng(1)

    def deviation(splits: list[str]) -> float:
        """Label distribution of Sechidis et al. (2011): mean over labels and subsets of the odds' difference."""
        found = counts(groups, splits)
        total = sum(found.values(), Counter[str]())
        gaps = [
            abs(found[split][f"l{k}"] / found[split][""] - total[f"l{k}"] / total[""])
            for split in SHARES
            for k in range(6)
        ]
        return float(np.mean(gaps))

    by_chance = [
        deviation(dice.permutation(["train"] * 420 + ["test"] * 120 + ["validation"] * 60).tolist()) for _ in range(9)
    ]
    assert deviation(dealt(groups, SHARES)) < min(by_chance) / 3


def test_a_label_of_three_rows_is_where_it_is_missed_most() -> None:
    groups = [[("rare",)] for _ in range(3)] + [[("common",)] for _ in range(97)]
    found = counts(groups, dealt(groups, SHARES))
    # 3 rows: 2.1, 0.6 and 0.3 are due. 1st to train (1.1 left), 2nd to train (0.1 left), 3rd to test.
    assert [found[split]["rare"] for split in SHARES] == [2, 1, 0]
    assert [found[split][""] for split in SHARES] == [70, 20, 10]


def test_groups_stay_whole_and_rows_without_a_label_fill_up() -> None:
    groups: list[list[tuple[str, ...]]] = [[("a",), ("a", "b"), ()] for _ in range(20)] + [[()] for _ in range(40)]
    splits = dealt(groups, SHARES)
    assert Counter(splits[20:]) + Counter({split: 3 * n for split, n in Counter(splits[:20]).items()}) == {
        "train": 70,
        "test": 20,
        "validation": 10,
    }


def test_nothing_is_dealt_to_nothing() -> None:
    assert dealt([], SHARES) == []


def test_ranges_hold_about_equally_many_numbers_and_equal_ones_are_together() -> None:
    found = binned([float(n) for n in range(100)])
    assert Counter(found) == {str(part): 10 for part in range(10)}
    assert [*map(int, found)] == sorted(map(int, found))
    stars = [1.0] * 50 + [5.0] * 50
    assert len(set(binned(stars))) == 2
    assert len({each for each, value in zip(binned(stars), stars, strict=True) if value == 5.0}) == 1


def test_few_numbers_are_one_range() -> None:
    assert set(binned([1.0, 2.0, 3.0])) == {""}
