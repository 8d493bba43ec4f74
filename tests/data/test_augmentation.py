"""Only training examples have variants; each is entered; a draw depends on the seed and on what the example says."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, Parallel
from affina.core.kinds import Desk
from affina.data.augmentation import Augmentation, taken_at
from affina.data.ledger import Ledger
from affina.data.lexicon.words import Choice, Edit, Slot
from affina.data.variants import Edits, Piece

ROWS: list[Example] = [
    Labelled(id=f"a.csv:{n}", text=f"row {n}", label="x", split=("train", "validation", "test")[n % 3])
    for n in range(200)
]


class Numbering:
    """Puts a drawn number before a text; leaves texts with a 7."""

    def vary(self, texts: Sequence[Piece], draws: Sequence[Random]) -> list[Edits]:
        pairs = zip(texts, draws, strict=True)
        return [() if "7" in each.text else (Edit(0, 0, f"{dice.randrange(3)} "),) for each, dice in pairs]

    def told(self) -> str:
        return "Sevens stay."


class Numbered(Augmentation):
    def opened(self, desk: Desk) -> Numbering:
        return Numbering()


def added(examples: Sequence[Example], seed: int = 0, **fields: int) -> tuple[list[Example], Desk]:
    desk = Desk(Ledger(), seed)
    return list(Numbered(**fields).apply(examples, desk)), desk  # type: ignore[arg-type]


def test_the_rows_stay_in_order_and_only_training_rows_have_variants_after_them() -> None:
    out, _ = added(ROWS)
    assert [each for each in out if not each.made] == ROWS
    place = {each.id: at for at, each in enumerate(out)}
    made = [each for each in out if each.made]
    assert made and all(each.split == "train" and place[each.origin] + 1 == place[each.id] for each in made)
    # of the 67 rows 0, 3, 6 … 199 → 198, those without a 7
    assert len(made) == sum("7" not in str(n) for n in range(0, 200, 3))


def test_the_ledger_adds_up_and_a_note_tells_what_was_made() -> None:
    out, desk = added(ROWS, count=2)
    assert isinstance(desk.books, Ledger)
    for each in ROWS:
        desk.books.read("a.csv", each.id)
    desk.books.use("train", out)
    desk.books.reconcile()
    made = sum(bool(each.made) for each in out)
    without = sum("7" in str(n) for n in range(0, 200, 3))
    assert desk.notes == [
        f"test_augmentation: {made} variants of 67 training examples; {without} have none. Sevens stay"
    ]


def test_variants_of_an_example_differ_from_it_and_from_one_another() -> None:
    out, _ = added(ROWS[:1], count=50)
    assert sorted(each.given for each in out) == ["0 row 0", "1 row 0", "2 row 0", "row 0"]
    assert len({each.id for each in out}) == 4


def test_a_draw_depends_on_seed_and_content_not_on_place_or_id() -> None:
    def told(examples: Sequence[Example], seed: int) -> set[str]:
        return {each.given for each in added(examples, seed)[0] if each.made}

    elsewhere = [replace(each, id=f"b.csv:{n}") for n, each in enumerate(reversed(ROWS))]
    assert told(ROWS, 0) == told(elsewhere, 0) != told(ROWS, 1)


def test_variants_are_made_of_what_was_read_and_have_ids_of_their_own() -> None:
    once, _ = added(ROWS)
    twice, _ = added(once, seed=1)
    assert len({each.id for each in twice}) == len(twice)
    assert all("+" not in each.origin for each in twice)


def test_rows_that_are_not_split_are_refused() -> None:
    with pytest.raises(Refused, match="put `split` before it"):
        added([replace(ROWS[0], split="")])


def test_nothing_is_opened_where_nothing_is_for_training() -> None:
    class Unopenable(Augmentation):
        def opened(self, desk: Desk) -> Numbering:
            raise AssertionError

    assert list(Unopenable().apply(ROWS[1:3], Desk(Ledger()))) == ROWS[1:3]
    assert list(Unopenable().apply([], Desk(Ledger()))) == []


def test_a_text_that_becomes_another_keeps_its_source() -> None:
    row = Parallel(id="a:1", source="one", result="uno", split="train")
    out, _ = added([row])
    variant = out[1]
    assert isinstance(variant, Parallel) and variant.source.endswith(" one") and variant.result == "uno"
    assert (variant.origin, variant.made) == ("a:1", "test_augmentation")


def test_a_share_of_the_places_changes_and_what_must_stay_does_not() -> None:
    slots = [Slot((Choice((Edit(at, at + 1, "X"),), 1.0),)) for at in range(10)]
    piece = Piece("0123456789", kept=((0, 2),))
    for seed in range(20):
        edits = taken_at(piece, slots, 0.5, Random(seed))
        assert len(edits) == 4 and all(edit.start >= 2 for edit in edits), "half of the eight that may change"
    assert len(taken_at(piece, slots, 1e-6, Random(0))) == 1, "one at least"
    assert taken_at(piece, [], 0.5, Random(0)) == ()
