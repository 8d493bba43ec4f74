"""The law of transforms: what goes in comes out or is dropped with a reason, and one seed gives one result."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lexica import folder
from speakers import Speaker

from affina.core.example import Example, Labelled, Text
from affina.core.kinds import Desk, Transform, transforms
from affina.data.ledger import Ledger
from affina.data.rows import Renderer

EXAMPLES: list[Example] = [
    Labelled(
        id=f"rows.csv:{n}",
        text=f"{'abcdefg'[n % 7] * 6} {n % 25} words of the house",
        label="xy"[n % 2],
        split=("train", "train", "validation", "test")[n % 4],
    )
    for n in range(40)
]
NAMED = {
    "masked": {"model": "m"},
    "paraphrase": {"model": "m"},
    "back_translate": {"there": "m", "back": "m"},
}
"""What has no default: a model's reference."""


WORDS: list[Example] = [Text(id=each.id, text=each.given, split=each.split) for each in EXAMPLES]


def given_to(name: str) -> list[Example]:
    """Texts with a class; texts alone for what can only be put among what a model learns to say."""
    return WORDS if name == "canaries" else EXAMPLES


def ready(name: str) -> Transform:
    return transforms.build({"name": name, **NAMED.get(name, {})})


@pytest.fixture
def desk(tmp_path: Path, encoder_model: Path) -> Callable[[], Desk]:
    """A desk with small lexica and a model that adds a word."""
    fetch, renderer = folder(tmp_path / "lexica"), Renderer.open(encoder_model)
    model = Speaker(lambda text: f"{text} more", False, renderer, [renderer.vocabulary.encode(["a b"])[0].ids[-1]])
    return lambda: Desk(Ledger(), 3, open=lambda reference: model, fetch=fetch)


@pytest.mark.parametrize("name", transforms.names())
def test_a_transform_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = transforms.build(name)
    assert transforms.build(transforms.dump(part)) == part
    assert type(part).__doc__
    assert all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("name", transforms.names())
def test_every_example_comes_out_or_is_dropped(name: str, desk: Callable[[], Desk]) -> None:
    given = desk()
    assert isinstance(given.books, Ledger)
    for each in given_to(name):
        given.books.read("rows.csv", each.id)
    given.books.use("all", ready(name).apply(given_to(name), given))
    given.books.reconcile()


@pytest.mark.parametrize("name", transforms.names())
def test_one_seed_gives_one_result_and_the_input_is_left_alone(name: str, desk: Callable[[], Desk]) -> None:
    given = list(given_to(name))
    once, again = (list(ready(name).apply(given, desk())) for _ in range(2))
    assert once == again
    assert given == given_to(name)


@pytest.mark.parametrize("name", transforms.names())
def test_nothing_comes_out_of_nothing(name: str, desk: Callable[[], Desk]) -> None:
    assert list(ready(name).apply([], desk())) == []
