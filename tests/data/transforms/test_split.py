import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import shared

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, MultiLabelled, Pair, Rated, Tagged, Text
from affina.core.kinds import Desk, Transform, readers, transforms
from affina.data.ledger import Ledger
from affina.data.near import clusters

WORDS = [first + last for first in ("alfa", "bravo", "carta", "delta", "eco") for last in ("ne", "tto", "rri", "gulo")]


def split(examples: list[Example], seed: int = 0, **fields: object) -> dict[str, str]:
    part: Transform = transforms.build({"name": "split", **fields})
    return {example.id: example.split for example in part.apply(examples, Desk(Ledger(), seed))}


def made(labels: list[str], seed: int = 0) -> list[Example]:
    dice = random.Random(seed)
    return [
        Labelled(id=f"a:{place}", text=" ".join(dice.choices(WORDS, k=8)), label=label)
        for place, label in enumerate(labels)
    ]


ROWS = st.lists(
    st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), st.sampled_from("xyz")), max_size=40
)


@settings(deadline=None)
@given(rows=ROWS, seed=st.integers(0, 5), by=st.sampled_from(["label", "none"]))
def test_a_split_is_a_partition_that_keeps_near_duplicates_together(
    rows: list[tuple[list[str], str]], seed: int, by: str
) -> None:
    examples: list[Example] = [
        Labelled(id=f"a:{place}", text=" ".join(words), label=label) for place, (words, label) in enumerate(rows)
    ]
    found = split(examples, seed, by=by)
    assert list(found) == [example.id for example in examples]
    assert set(found.values()) <= {"train", "validation", "test"}
    side: dict[int, str] = {}
    for example, cluster in zip(examples, clusters([example.given for example in examples], 0.8), strict=True):
        assert side.setdefault(cluster, found[example.id]) == found[example.id]


@settings(deadline=None)
@given(rows=ROWS, seed=st.integers(0, 5), shuffle=st.randoms())
def test_the_split_depends_on_seed_and_content_not_on_the_order(
    rows: list[tuple[list[str], str]], seed: int, shuffle: random.Random
) -> None:
    examples: list[Example] = [
        Labelled(id=f"a:{place}", text=" ".join(words), label=label) for place, (words, label) in enumerate(rows)
    ]
    once = split(examples, seed)
    shuffled = list(examples)
    shuffle.shuffle(shuffled)
    assert split(shuffled, seed) == once


def test_another_seed_gives_another_split() -> None:
    examples = made(["x", "y"] * 50)
    assert split(examples, 0) != split(examples, 1)


def test_classes_keep_their_proportions_and_small_ones_are_in_every_split() -> None:
    examples = made(["big"] * 200 + ["middle"] * 50 + ["small"] * 3 + ["two"] * 2 + ["one"])
    found = split(examples)
    counts: dict[str, Counter[str]] = {}
    for example in examples:
        counts.setdefault(example.target, Counter())[found[example.id]] += 1
    assert counts["big"] == {"train": 140, "validation": 20, "test": 40}
    assert counts["middle"] == {"train": 35, "validation": 5, "test": 10}
    assert counts["small"] == {"train": 1, "validation": 1, "test": 1}
    assert counts["two"] == {"train": 1, "test": 1}
    assert counts["one"] == {"train": 1}


def test_sets_of_classes_keep_every_class_in_proportion() -> None:
    dice = random.Random(0)
    examples: list[Example] = [
        MultiLabelled(
            id=f"a:{n}",
            text=f"{WORDS[n % 20]} {n * 7919} {dice.choice(WORDS)}",
            right=tuple(label for label, odds in (("x", 0.5), ("y", 0.2), ("z", 0.05)) if dice.random() < odds),
        )
        for n in range(400)
    ]
    found = split(examples)
    for label in "xyz":
        having = [each for each in examples if isinstance(each, MultiLabelled) and label in each.right]
        counts = Counter(found[each.id] for each in having)
        for name, share in (("train", 0.7), ("test", 0.2), ("validation", 0.1)):
            assert abs(counts[name] - share * len(having)) <= 2, (label, name)
    assert found == split(examples[::-1]) and found != split(examples, by="none")


def test_sentences_keep_every_tag_in_proportion_and_a_rare_one_in_training() -> None:
    dice = random.Random(1)
    odds = {"B-PER": 0.4, "B-LOC": 0.2, "B-MISC": 0.05}
    examples: list[Example] = [
        Tagged(
            id=f"a:{n}",
            words=(WORDS[n % 20], str(n * 7919), dice.choice(WORDS)),
            tags=("B-RARE" if n == 211 else "O", *(dice.choices([*odds, "O"], [*odds.values(), 0.35], k=2))),
        )
        for n in range(400)
    ]
    found = split(examples)
    for tag in odds:
        having = [each for each in examples if isinstance(each, Tagged) and tag in each.tags]
        counts = Counter(found[each.id] for each in having)
        for name, share in (("train", 0.7), ("test", 0.2), ("validation", 0.1)):
            assert abs(counts[name] - share * len(having)) <= 2, (tag, name)
    assert found["a:211"] == "train"


def test_ratings_keep_their_range_in_every_split() -> None:
    examples: list[Example] = [Rated(id=f"a:{n}", text=f"{WORDS[n % 20]} {n * 7919}", value=n * n) for n in range(200)]
    found = split(examples)
    for tenth in range(10):
        counts = Counter(found[f"a:{n}"] for n in range(20 * tenth, 20 * tenth + 20))
        assert counts == {"train": 14, "test": 4, "validation": 2}
    assert found == split(examples[::-1])


def test_words_and_pairs_are_dealt_plainly() -> None:
    tagged: list[Example] = [
        Tagged(id=f"a:{n}", words=(WORDS[n % 20], str(n * 7919)), tags=("O", "O")) for n in range(50)
    ]
    system = Message("system", "You are a careful adviser of a support desk. " * 5)
    pairs: list[Example] = [
        Pair(id=f"a:{n}", messages=(system, Message("user", f"{WORDS[n % 20]} {n * 7919}")), chosen="a", rejected="b")
        for n in range(50)
    ]
    for examples in (tagged, pairs):
        assert Counter(split(examples).values()) == {"train": 35, "validation": 5, "test": 10}


def test_shares_are_kept_without_classes() -> None:
    examples: list[Example] = [Text(id=f"a:{n}", text=f"{n} {WORDS[n % 20]} {n * 7919}") for n in range(100)]
    assert Counter(split(examples, test=0.3, validation=0.2).values()) == {"train": 50, "validation": 20, "test": 30}


def test_a_shared_system_prompt_does_not_tie_conversations_together() -> None:
    examples: list[Example] = [
        Chat(
            id=f"a:{n}",
            messages=(
                Message("system", "You are a careful adviser of a support desk. " * 5),
                Message("user", f"{WORDS[n]} {n * 7919}"),
                Message("assistant", "yes"),
            ),
        )
        for n in range(10)
    ]
    assert set(split(examples).values()) == {"train", "validation", "test"}


def test_conversations_without_a_question_are_compared_by_their_answers() -> None:
    examples: list[Example] = [
        Chat(id=f"a:{n}", messages=(Message("assistant", f"{WORDS[n]} {n * 7919}"),)) for n in range(10)
    ]
    assert set(split(examples).values()) == {"train", "validation", "test"}


def test_large_clusters_still_reach_every_split() -> None:
    texts = ["alfa bravo carta delta eco fiume", "gatto hotel isola lago mare nave", "olio pane quota rosa sole uva"]
    examples: list[Example] = [Text(id=f"a:{n}", text=texts[n % 3] + "!" * (n // 3)) for n in range(9)]
    assert Counter(split(examples, near=0.7).values()) == {"train": 3, "validation": 3, "test": 3}


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ValueError, match="leave nothing to train on"):
        transforms.build({"name": "split", "test": 0.6, "validation": 0.4})


def test_no_near_duplicates_of_real_messages_straddle_the_split() -> None:
    path = shared("data", "sms_spam", "sms.tsv")
    examples: list[Example] = [
        Labelled(id=f"a:{n}", text=record.values["column 2"], label=record.values["column 1"])
        for n, record in enumerate(readers.build("csv").records(path))
    ]
    found = split(examples)
    grams = [
        {text[at : at + 5] for at in range(max(1, len(text) - 4))}
        for text in (" ".join(example.given.casefold().split()) for example in examples)
    ]
    held: dict[str, list[int]] = {}
    for place, each in enumerate(grams):
        for gram in each:
            held.setdefault(gram, []).append(place)
    straddling = 0
    for place, each in enumerate(grams):
        if found[f"a:{place}"] == "test":
            beside = Counter(other for gram in each for other in held[gram] if found[f"a:{other}"] != "test")
            straddling += sum(
                shared_grams / (len(each) + len(grams[other]) - shared_grams) >= 0.8
                for other, shared_grams in beside.items()
            )
    assert straddling == 0


def rows_of(count: int, **facts: Any) -> list[Example]:
    return [
        Labelled(
            id=f"a:{n}",
            text=f"{WORDS[n % 20]} {n * 7919} {n * 104729 % 997}",
            label="xy"[n % 2],
            facts={name: of(n) for name, of in facts.items()},
        )
        for n in range(count)
    ]


def test_rows_of_one_group_stay_together_and_classes_in_proportion() -> None:
    examples = rows_of(400, customer=lambda n: f"c{n % 57}")
    found = split(examples, group="customer")
    sides: dict[str, set[str]] = {}
    for example in examples:
        sides.setdefault(example.facts["customer"], set()).add(found[example.id])
    assert all(len(side) == 1 for side in sides.values())
    counts = Counter(found.values())
    assert abs(counts["test"] - 80) <= 14 and abs(counts["validation"] - 40) <= 14  # a group of 7 or 8 for each class
    assert found == split(examples[::-1], group="customer")


def test_rows_without_a_group_are_alone() -> None:
    assert Counter(split(rows_of(100, customer=lambda n: ""), group="customer").values()) == {
        "train": 70, "validation": 10, "test": 20,
    }  # fmt: skip


def test_the_latest_rows_are_the_test_and_those_before_them_validation() -> None:
    examples = rows_of(100, day=lambda n: f"2024-{n % 10 + 1:02}-{n // 10 + 1:02}")
    found = split(examples, time="day")
    latest = {
        name: max(each.facts["day"] for each in examples if found[each.id] == name) for name in set(found.values())
    }
    earliest = {name: min(each.facts["day"] for each in examples if found[each.id] == name) for name in latest}
    assert latest["train"] < earliest["validation"] <= latest["validation"] < earliest["test"]
    assert Counter(found.values()) == {"train": 70, "validation": 10, "test": 20}


def test_what_repeats_an_early_row_later_is_not_tested_on() -> None:
    examples = rows_of(50, day=lambda n: str(n))
    last = replace(examples[49], text=examples[0].given + "!")  # type: ignore[call-arg]
    assert split([*examples[:49], last], time="day")["a:49"] == "train"


def test_rows_without_a_time_are_refused() -> None:
    with pytest.raises(Refused, match="2 rows have none"):
        split(rows_of(9, day=lambda n: "" if n > 6 else "2024-01-01"), time="day")


def test_what_is_not_kept_beside_a_row_is_read_for_the_split() -> None:
    part = transforms.build({"name": "split", "group": "customer", "time": "day"})
    assert part.reads() == ("customer", "day") and transforms.build("split").reads() == ()


def test_three_times_give_a_row_to_each_split() -> None:
    assert split(rows_of(3, day=lambda n: f"2024-01-0{n + 1}"), time="day") == {
        "a:0": "train", "a:1": "validation", "a:2": "test"
    }  # fmt: skip
