from collections import Counter

import pytest
from reconciled import applied

from affina.core.errors import Refused
from affina.core.example import Example, Text


def rows(counts: dict[str, int], split: str = "train") -> list[Example]:
    return [
        Text(id=f"{file}:{n}", split=split, text=f"{n} of {file}", facts={"task": file[0]})
        for file, count in counts.items()
        for n in range(count)
    ]


def mixed(examples: list[Example], **fields: object) -> Counter[str]:
    left, _, _ = applied("mix", examples, **fields)
    return Counter((each.origin or each.id).rpartition(":")[0] for each in left if each.split == "train")


GIVEN = rows({"news.txt": 90, "law.txt": 10})


def test_equal_and_proportional_keep_the_total() -> None:
    assert mixed(GIVEN, how="equal") == {"news.txt": 50, "law.txt": 50}
    assert mixed(GIVEN, how="proportional") == {"news.txt": 90, "law.txt": 10}
    assert mixed(GIVEN, how="proportional", size=50) == {"news.txt": 45, "law.txt": 5}


def test_temperature_and_limit_are_those_of_the_paper() -> None:
    # at temperature 2 the rates are 9^½ : 1 = 3 : 1
    assert mixed(GIVEN) == {"news.txt": 75, "law.txt": 25}
    # with sizes counted up to 10 both are alike, whatever the temperature
    assert mixed(GIVEN, how="proportional", limit=10) == {"news.txt": 50, "law.txt": 50}
    # up to 30: 30 : 10
    assert mixed(GIVEN, how="proportional", limit=30) == {"news.txt": 75, "law.txt": 25}


def test_a_weight_multiplies_a_rate() -> None:
    assert mixed(GIVEN, how="equal", weights={"news.txt": 4}) == {"news.txt": 80, "law.txt": 20}
    with pytest.raises(Refused, match=r"no data set is called 'new.txt'.*'news.txt'"):
        mixed(GIVEN, weights={"new.txt": 1})


def test_every_repetition_and_loss_is_in_the_ledger_and_in_the_note() -> None:
    left, reasons, notes = applied("mix", GIVEN, how="equal")
    assert reasons == {"mix: 'news.txt' has more rows than wanted": 40}
    assert sum(bool(each.made) for each in left) == 40
    assert notes == ["mix: training rows news.txt 90 → 50, law.txt 10 → 50"]


def test_a_fact_can_name_the_data_set_and_other_splits_stay() -> None:
    held = rows({"exam.txt": 3}, "test")
    left, _, notes = applied("mix", [*held, *GIVEN], how="equal", by="task")
    assert left[:3] == held and notes == ["mix: training rows n 90 → 50, l 10 → 50"]
