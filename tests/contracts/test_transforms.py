"""The law of transforms: what goes in comes out or is dropped with a reason, and one seed gives one result."""

import pytest

from affina.core.example import Example, Labelled
from affina.core.kinds import Desk, transforms
from affina.data.ledger import Ledger

ASKING = ("back_translate", "masked", "paraphrase")
"""Transforms that ask a model, which their settings must name: these laws are held with one in their own tests."""
ALONE = [name for name in transforms.names() if name not in ASKING]
EXAMPLES: list[Example] = [
    Labelled(
        id=f"rows.csv:{n}",
        text=f"{'abcdefg'[n % 7] * 6} {n % 25} words",
        label="xy"[n % 2],
        split=("train", "train", "validation", "test")[n % 4],
    )
    for n in range(40)
]


@pytest.mark.parametrize("name", transforms.names())
def test_a_transform_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = transforms.build(name)
    assert transforms.build(transforms.dump(part)) == part
    assert type(part).__doc__
    assert all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("name", ALONE)
def test_every_example_comes_out_or_is_dropped(name: str) -> None:
    ledger = Ledger()
    for each in EXAMPLES:
        ledger.read("rows.csv", each.id)
    ledger.use("all", transforms.build(name).apply(EXAMPLES, Desk(ledger)))
    ledger.reconcile()


@pytest.mark.parametrize("name", ALONE)
def test_one_seed_gives_one_result_and_the_input_is_left_alone(name: str) -> None:
    given = list(EXAMPLES)
    once, again = (list(transforms.build(name).apply(given, Desk(Ledger(), 3))) for _ in range(2))
    assert once == again
    assert given == EXAMPLES


@pytest.mark.parametrize("name", transforms.names())
def test_nothing_comes_out_of_nothing(name: str) -> None:
    assert list(transforms.build(name).apply([], Desk(Ledger()))) == []
