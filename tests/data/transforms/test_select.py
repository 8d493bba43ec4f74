from collections import Counter

import pytest
from reconciled import applied, applied_with

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, Text
from affina.engine.toy import Toy

TOPICS = {
    "cards": "my card was lost and a card is new",
    "loans": "a loan of money at a rate",
    "trips": "a train to the sea in summer",
}


def rows(split: str = "train", **counts: int) -> list[Example]:
    return [
        Labelled(id=f"{split}:{topic}{n}", split=split, text=f"{TOPICS[topic]} {n}", label=topic)
        for topic, count in counts.items()
        for n in range(count)
    ]


def topics(examples: list[Example]) -> Counter[str]:
    return Counter(each.target for each in examples if each.split == "train")


GIVEN = rows(cards=30, loans=5, trips=2)


def test_so_many_rows_are_kept_in_order_and_the_others_are_dropped() -> None:
    left, reasons, notes = applied("select", [*GIVEN, *rows("test", cards=2)], n=7)
    assert len(left) == 9 and reasons == {"select: not among the rows chosen": 30}
    assert [each.id for each in left] == [each.id for each in [*GIVEN, *rows("test", cards=2)] if each in left]
    assert notes == ["select: 7 of 37 training rows kept, random"]
    assert applied("select", GIVEN, n=7, seed=1)[0] != [each for each in left if each.split == "train"]
    assert {each.id for each in applied("select", GIVEN[::-1], n=7)[0]} == {each.id for each in left[:7]}


def test_so_many_of_each_class() -> None:
    assert topics(applied("select", GIVEN, n=3, per="label")[0]) == {"cards": 3, "loans": 3, "trips": 2}
    with pytest.raises(Refused, match="classes of text examples"):
        applied("select", [Text(id="a:1", split="train", text="x")], per="label")


def test_diverse_rows_come_from_every_topic() -> None:
    assert set(topics(applied("select", GIVEN, n=3, how="diverse")[0])) == set(TOPICS)


def test_typical_rows_cover_the_topics_in_turn_and_similar_rows_follow_what_is_measured() -> None:
    assert set(topics(applied("select", GIVEN, n=3, how="typical")[0])) == set(TOPICS)
    measured = rows("validation", trips=6)
    assert topics(applied("select", [*GIVEN, *measured], n=2, how="similar")[0]) == {"trips": 2}
    with pytest.raises(Refused, match="no row is in test"):
        applied("select", [*GIVEN, *measured], n=2, how="similar", like="test")


def test_a_model_can_embed() -> None:
    asked: list[str] = []

    def opened(reference: str) -> Toy:
        asked.append(reference)
        return Toy()

    left, _, _ = applied_with(opened, "select", GIVEN, n=3, how="diverse", model="small")
    assert asked == ["small"] and set(topics(left)) == set(TOPICS)
    applied_with(opened, "select", GIVEN, n=3, model="small")
    assert asked == ["small"], "drawing needs no model"
