"""The law of makers: one seed gives one result, every row is kept or rejected with a reason, and what is kept is read
as the shape that the maker names."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest
from tiny_models import Parrot, Scribe

from affina.core.errors import Refused
from affina.core.kinds import Made, Maker, Record, Workshop, makers
from affina.data.recognise import shape_for
from affina.engine.toy import Toy

WORDS = ("amber", "barley", "cedar", "donkey", "ember", "flax", "garnet", "hazel", "indigo")
MODELS: dict[str, type[Toy]] = {"questions": Scribe, "self_instruct": Parrot, "self_refine": Parrot}
SETTINGS: dict[str, dict[str, Any]] = {"questions": {"ask": "both", "tokens": 500}}
MATERIAL: dict[str, list[Any]] = {
    "questions": [
        f"The last of the {one} and {two} under {three} went on {1 + n} March {1950 + n}. "
        "It was the work of many hands and of a long winter that nobody has forgotten."
        for n, (one, two, three) in enumerate(zip(WORDS[::3], WORDS[1::3], WORDS[2::3], strict=True))
    ],
    "self_instruct": [
        {
            "instruction": f"Tell {whom} about the {n} rivers of the north",
            "input": "",
            "output": f"There are {n} rivers",
        }
        for n, whom in enumerate(("me", "us", "him", "her", "them", "everybody", "nobody"))
    ],
    "self_refine": [f"Describe the {n} barges that lie at the northern quay" for n in range(3)],
}


def records(name: str) -> list[Record]:
    return [Record(values, "rows.jsonl", line) for line, values in enumerate(MATERIAL[name], 1)]


def made(name: str, seed: int = 0, rounds: int = 2) -> list[Made]:
    part, model = makers.build({"name": name, **SETTINGS.get(name, {})}), MODELS[name]()
    workshop = Workshop(model, model, seed)
    material, kept, found = part.material(records(name)), list[Any](), list[Made]()
    for about in islice(part.rounds(material, workshop), rounds):
        new = list(part.round(about, kept, workshop))
        kept += [each.row for each in new if not each.rejected]
        found += new
    return found


@pytest.mark.parametrize("name", makers.names())
def test_a_maker_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = makers.build(name)
    assert makers.build(makers.dump(part)) == part
    assert type(part).__doc__
    assert all(field.description for field in type(part).model_fields.values())
    assert part.known() and all("@" in reference for reference in part.known().values())


@pytest.mark.parametrize("name", makers.names())
def test_every_row_is_kept_with_the_filters_it_passed_or_rejected_with_a_reason(name: str) -> None:
    found = made(name)
    assert any(not each.rejected for each in found), "this material gives rows"
    for each in found:
        assert bool(each.rejected) != bool(each.passed)
        assert each.row and each.origin


@pytest.mark.parametrize("name", makers.names())
def test_one_seed_gives_one_result(name: str) -> None:
    assert made(name, 3) == made(name, 3)


@pytest.mark.parametrize("name", makers.names())
def test_what_is_kept_is_read_as_the_shape_that_is_promised(name: str) -> None:
    rows = [each.row for each in made(name) if not each.rejected]
    read = [Record({**row, "made": {"by": "somebody"}}, "made.jsonl", line) for line, row in enumerate(rows, 1)]
    shape, _ = shape_for(read)
    assert shape.name == makers.build(name).makes
    assert all(shape.example(each) for each in read)


@pytest.mark.parametrize("name", makers.names())
@pytest.mark.parametrize("given", [[], [Record(None, "a.jsonl", 1, "no JSON")]])
def test_nothing_to_make_rows_from_is_refused(name: str, given: Sequence[Record]) -> None:
    with pytest.raises(Refused):
        makers.build(name).material(given)


def test_a_part_of_each_kind_is_on_the_shelf() -> None:
    assert set(MATERIAL) == set(makers.names())
    assert all(issubclass(makers.find(name), Maker) for name in makers.names())
