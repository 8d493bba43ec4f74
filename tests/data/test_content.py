"""What examples teach is compared in columns as one by one, in memory and on disk, by any number of cores."""

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from test_stored import EVERY, TURNS

from affina.core.example import Chat, Example, Labelled, Message, Pair, Question, Related, Text
from affina.core.kinds import Desk, transforms
from affina.data import abreast, content, held
from affina.data.content import ASIDE, contents
from affina.data.ledger import Ledger
from affina.data.minhash import first_of_equal
from affina.data.transforms import dedup


def plain(value: Any) -> Any:
    """A value without what does not count."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, Message):
        return plain(value.role), plain(value.content), json.dumps(value.extra, sort_keys=True)
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return json.dumps(value, sort_keys=True)


def taught(example: Example) -> Any:
    return type(example).__name__, *(
        plain(getattr(example, each.name)) for each in fields(example) if each.name not in ASIDE
    )


def grouped(examples: list[Example]) -> list[int]:
    first: dict[Any, int] = {}
    return [first.setdefault(taught(example), place) for place, example in enumerate(examples)]


def variants() -> Iterator[Example]:
    """Every kind; each changed in each text it holds, in its white space, and in what is no part of what it teaches."""
    for each in EVERY:
        yield each
        yield replace(each, id="b:9", split="test", facts={"x": "y"}, origin="a:7", made="so")
        for field in fields(each):
            value = getattr(each, field.name)
            if field.name in ASIDE:
                continue
            if isinstance(value, str):
                yield from (replace(each, **{field.name: f"{value}{end}"}) for end in (" \n", "\xa0", "x", "\ud800"))
            elif isinstance(value, tuple) and value:
                yield replace(each, **{field.name: value * 2})
            elif isinstance(value, (int, float)):
                yield replace(each, **{field.name: not value if isinstance(value, bool) else value + 1})


CHATS: list[Example] = [
    Chat(id="c:1", messages=(Message("user", "x"), Message("assistant", "y")), tools=({"a": {"c": 1, "b": [2]}},)),
    Chat(id="c:2", messages=(Message("user", "x "), Message("assistant", "y")), tools=({"a": {"b": [2], "c": 1}},)),
    Chat(id="c:3", messages=(Message("user", "x", {"name": "b", "role": "é"}), Message("assistant", "y"))),
    Chat(id="c:4", messages=(Message("user", "x", {"role": "é", "name": "b"}), Message("assistant", "y"))),
    Chat(id="c:5", messages=(Message("user", "x\ud800", {"role": "\ud800"}), Message("assistant", "y"))),
    Chat(id="c:6", messages=(Message("user", "x"), Message("assistant", "y")), options=("a", "b")),
    Chat(id="c:7", messages=(Message("user", "x"), Message("assistant", "y")), options=("a b",)),
    Chat(id="c:8", messages=(Message("user", "x"),)),
    Pair(id="p:1", messages=TURNS, chosen="", rejected="c"),
    Question(id="q:1", question="q", context="c c", answers=()),
    Related(id="r:1", anchor="a", positive="p", negatives=()),
]


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_columns_find_equal_what_is_equal_one_by_one(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr(abreast, "cores", lambda: cores)
    monkeypatch.setattr(content, "BYTES", 200)
    rows = [*variants(), *CHATS, *variants()]
    assert first_of_equal(contents(rows)).tolist() == grouped(rows)
    assert contents([]).tolist() == [] and len(contents(rows[:1])) == 1


@pytest.mark.parametrize("example", EVERY, ids=lambda each: type(each).__name__)
def test_in_memory_and_on_disk_the_hashes_are_the_same(monkeypatch: pytest.MonkeyPatch, example: Example) -> None:
    rows = [replace(example, id=f"a:{place}", split=str(place % 7)) for place in range(5)]
    other = [each for each in CHATS if type(each) is type(example) and each.id != "c:5"]
    monkeypatch.setattr(held, "MEMORY_BYTES", 0)
    there = held.held([*rows, *other])
    assert isinstance(there, held.OnDisk)
    assert contents(there).tolist() == contents([*rows, *other]).tolist()


def dropped(examples: Any, ledger: Ledger, **fields: Any) -> list[Example]:
    return list(transforms.build({"name": "dedup", **fields}).apply(examples, Desk(ledger)))


@pytest.mark.parametrize("fields", [{}, {"near": 0.8}])
@pytest.mark.parametrize("cores", [1, 2, 3])
def test_dedup_is_the_same_on_disk_and_by_any_number_of_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, fields: dict[str, Any]
) -> None:
    rows: list[Example] = [
        Labelled(
            id=f"a:{n}", text=f"the {n * n % 89} th of the rows{' ' * (n % 3)}", label=str(n % 2), facts={"n": "x"}
        )
        for n in range(5000 if not fields else 300)
    ]
    wanted = Ledger()
    kept = dropped(rows, wanted, **fields)
    assert [each.id for each in kept] == [each.id for each in rows if each in kept] and len(kept) < 200
    monkeypatch.setattr(abreast, "cores", lambda: cores)
    monkeypatch.setattr(held, "MEMORY_BYTES", 0)
    ledger = Ledger()
    assert dropped(held.held(rows), ledger, **fields) == kept
    assert ledger.summary() == wanted.summary() and ledger.marks() == wanted.marks()


def test_what_only_has_the_hash_of_another_is_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedup, "contents", lambda examples: np.zeros(len(examples), np.uint64))
    rows = [*EVERY, *(replace(each, id="b:9", split="test") for each in EVERY)]
    same = [first for first, place in enumerate(grouped(rows)) if place == 0]
    assert len(same) > 1 and dropped(rows, Ledger()) == [each for n, each in enumerate(rows) if n not in same[1:]]


@pytest.mark.parametrize("example", EVERY, ids=lambda each: type(each).__name__)
def test_the_text_of_what_is_taught_tells_apart_what_the_columns_do(example: Example) -> None:
    made = [each for each in variants() if type(each) is type(example)]
    theirs = first_of_equal(contents(made)).tolist()
    first: dict[str, int] = {}
    assert [first.setdefault(content.taught(each), place) for place, each in enumerate(made)] == theirs


def test_rows_left_out_on_disk_are_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MEMORY_BYTES", 0)
    rows: list[Example] = [Text(id=f"a:{n}", text=f"{n % 4000}") for n in range(6000)]
    there = held.held(rows)
    assert isinstance(there, held.OnDisk)
    first = transforms.build("dedup").apply(there, Desk(Ledger()))
    assert isinstance(first, held.OnDisk) and held.held(first) is first and first.file is there.file
    assert len(first) == 4000 and list(first) == rows[:4000] and list(there) == rows
    fewer = held.without(first, np.array([0, 3999]))
    assert list(fewer) == rows[1:3999]
    assert [each.id for each in held.at(fewer, np.array([0, 2047, 3997]))] == ["a:1", "a:2048", "a:3998"]


def test_long_rows_are_hashed_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 MB in one batch on disk; by two cores at most four parts of half a MiB are held, each with its numbers."""
    monkeypatch.setattr(abreast, "cores", lambda: 2)
    monkeypatch.setattr(held, "MEMORY_BYTES", 0)
    there = held.held(Text(id=f"a:{n}", text="word " * 80_000) for n in range(100))
    tracemalloc.start()
    assert len(set(contents(there).tolist())) == 1
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 80_000_000
