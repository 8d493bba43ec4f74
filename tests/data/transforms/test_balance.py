from collections import Counter

import pytest
from reconciled import applied

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, MultiLabelled, Parallel, Rated
from affina.core.kinds import transforms


def labelled(counts: dict[str, int], split: str = "train") -> list[Example]:
    return [
        Labelled(id=f"{split}.csv:{label}{n}", split=split, text=f"text {n} of {label}", label=label)
        for label, count in counts.items()
        for n in range(count)
    ]


def counted(examples: list[Example]) -> Counter[str]:
    return Counter(each.target for each in examples if each.split == "train")


GIVEN = labelled({"a": 10, "b": 4, "c": 1})


def test_small_classes_are_repeated_until_all_are_alike() -> None:
    left, _, notes = applied("balance", GIVEN)
    assert counted(left) == {"a": 10, "b": 10, "c": 10}
    assert notes == ["balance: training rows a 10 → 10, b 4 → 10, c 1 → 10"]
    copies = [each for each in left if each.made]
    assert len(copies) == 15 and len({each.id for each in left}) == 30
    originals = {each.id: each for each in GIVEN}
    for each in copies:
        assert each.given == originals[each.origin].given and each.id.startswith(f"{each.origin}+balance.")
    times = Counter(each.origin or each.id for each in left if each.target == "b")
    assert sorted(times.values()) == [2, 2, 3, 3], "10 rows of 4: each twice, two of them once more"


def test_large_classes_lose_rows_through_the_ledger() -> None:
    left, reasons, _ = applied("balance", GIVEN, how="under")
    assert counted(left) == {"a": 1, "b": 1, "c": 1}
    assert reasons == {"balance: 'a' has more rows than wanted": 9, "balance: 'b' has more rows than wanted": 3}


def test_temperature_goes_part_of_the_way_and_same_keeps_the_total() -> None:
    given = labelled({"a": 100, "b": 4})
    # shares 10 : 2 at temperature 2; by repeating alone a stays 100, so b becomes 20
    assert counted(applied("balance", given, temperature=2)[0]) == {"a": 100, "b": 20}
    # by leaving out alone b stays 4, so a becomes 20
    assert counted(applied("balance", given, temperature=2, how="under")[0]) == {"a": 20, "b": 4}
    # 104 rows in shares 5/6 and 1/6
    assert counted(applied("balance", given, temperature=2, how="same")[0]) == {"a": 87, "b": 17}
    assert applied("balance", given, temperature=1)[0] == given


def test_a_row_is_repeated_only_so_often_and_that_is_said() -> None:
    left, _, notes = applied("balance", labelled({"a": 30, "b": 2}), most=3)
    assert counted(left) == {"a": 30, "b": 6}
    assert notes[0] == "balance: no row stands more than 3 times, so fewer than wanted: b"


def test_only_training_rows_are_touched() -> None:
    held = labelled({"a": 5, "b": 1}, "test")
    left, _, _ = applied("balance", [*held, *GIVEN])
    assert left[:6] == held and all(each.split == "train" for each in left if each.made)
    with pytest.raises(Refused, match="put `split` before `balance`"):
        applied("balance", labelled({"a": 2}, ""))


def test_which_rows_are_chosen_follows_seed_and_content_not_order() -> None:
    def chosen(given: list[Example], seed: int) -> set[str]:
        return {each.id for each in applied("balance", given, seed=seed, how="under", temperature=2)[0]}

    many = labelled({"a": 40, "b": 10})
    assert chosen(many, 0) == chosen(many[::-1], 0) != chosen(many, 1)


def test_sets_count_as_their_rarest_class_and_facts_can_stand_for_classes() -> None:
    sets = [("x",)] * 6 + [("x", "y")] * 2 + [()] * 1
    given: list[Example] = [
        MultiLabelled(id=f"a:{n}", split="train", text=str(n), right=right, facts={"region": "north" if n else "south"})
        for n, right in enumerate(sets)
    ]
    assert Counter(each.target for each in applied("balance", given)[0]) == {"x": 6, "x, y": 6, "": 6}
    assert Counter(each.facts["region"] for each in applied("balance", given, by="region")[0]) == {
        "north": 8,
        "south": 8,
    }
    part = transforms.build({"name": "balance", "by": "region"})
    assert part.reads() == ("region",) and transforms.build("balance").reads() == ()
    with pytest.raises(Refused, match="classes of rated examples"):
        applied("balance", [Rated(id="a:1", split="train", text="x", value=1)])


def test_a_copy_of_a_translation_keeps_its_text() -> None:
    given: list[Example] = [
        Parallel(id=f"a:{n}", split="train", source="io", result="I", facts={"of": "x" if n else "y"}) for n in range(3)
    ]
    left, _, _ = applied("balance", given, by="of")
    assert [each.given for each in left] == ["io"] * 4 and sum(bool(each.made) for each in left) == 1
