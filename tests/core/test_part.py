"""Parts and shelves: found by file name, validated with locations, dumped as short as they can be."""

import importlib
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ValidationError

from affina.core import part
from affina.core.errors import Refused
from affina.core.kinds import metrics, optimizers, schedules, tunings
from affina.core.part import InvalidPart

HALVING = '''"""A schedule that halves."""

from pydantic import Field

from affina.core.kinds import Schedule


class Halving(Schedule):
    """Half the rate after `after` of the steps."""

    after: float = Field(0.5, gt=0, lt=1)
    """Share of the steps at the full rate."""

    def factor(self, step: int, steps: int) -> float:
        return 1.0 if step <= self.after * steps else 0.5
'''


def test_a_file_on_the_shelf_is_a_part_of_that_name(add_part: Any) -> None:
    before = schedules.names()
    add_part(schedules, "halving", HALVING)
    assert schedules.names() == sorted([*before, "halving"])
    part = schedules.build("halving")
    assert part.name == "halving"
    assert [part.factor(step, 4) for step in (1, 2, 3, 4)] == [1.0, 1.0, 0.5, 0.5]


def test_names_are_listed_without_importing_any_part(add_part: Any) -> None:
    add_part(schedules, "broken", "raise RuntimeError('imported')\n")
    assert "broken" in schedules.names()


def test_a_part_dumps_as_its_name_or_with_what_differs_from_its_defaults(add_part: Any) -> None:
    add_part(schedules, "halving", HALVING)
    for spec in ("halving", {"name": "halving", "after": 0.25}):
        assert schedules.dump(schedules.build(spec)) == spec
    assert schedules.dump(schedules.build({"name": "halving", "after": 0.5})) == "halving"


def test_a_built_part_is_taken_as_it_is(add_part: Any) -> None:
    add_part(schedules, "halving", HALVING)
    part = schedules.build("halving")
    assert schedules.build(part) is part


def test_parts_are_frozen(add_part: Any) -> None:
    add_part(schedules, "halving", HALVING)
    with pytest.raises(ValidationError, match=r"frozen"):
        schedules.build("halving").after = 0.1


def test_an_unknown_name_is_refused_with_the_nearest_one(add_part: Any) -> None:
    add_part(schedules, "halving", HALVING)
    with pytest.raises(Refused, match=r"no schedule is called 'halvng'. did you mean 'halving'"):
        schedules.find("halvng")


def test_a_name_like_no_other_is_refused_with_the_whole_list() -> None:
    with pytest.raises(Refused, match=r"no metric is called 'zzzzzz'. known: accuracy, "):
        metrics.find("zzzzzz")


def test_a_wrong_field_keeps_its_place_inside_the_part(add_part: Any) -> None:
    add_part(schedules, "halving", HALVING)
    with pytest.raises(InvalidPart) as caught:
        schedules.build({"name": "halving", "after": 2})
    assert caught.value.error.errors()[0]["loc"] == ("after",)


@pytest.mark.parametrize("spec", [None, 3, {"after": 0.5}])
def test_what_names_no_part_is_refused_with_the_known_names(spec: Any) -> None:
    with pytest.raises(ValueError, match=r"a schedule is a name, or a mapping with 'name'; known: "):
        schedules.build(spec)


def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    add_part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "affina-9.dist-info"
    info.mkdir()
    declared = "Provides-Extra: search\nRequires-Dist: absentlibrary>=1; extra == 'search'\n"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: affina\nVersion: 9\n{declared}", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    add_part(schedules, "needy", "import absentlibrary.inside\n")
    with pytest.raises(Refused) as caught:
        schedules.find("needy")
    assert str(caught.value) == "schedule 'needy' needs absentlibrary. pip install 'affina[search]'"


def test_a_missing_library_that_no_extra_brings_is_named_itself(add_part: Any) -> None:
    add_part(schedules, "needy", "import absent_library\n")
    with pytest.raises(Refused, match=r"pip install 'absent_library'"):
        schedules.find("needy")


def test_a_third_party_part_comes_through_an_installed_distribution(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "elsewhere.py").write_text(HALVING.replace("Halving", "Elsewhere"), encoding="utf-8")
    info = tmp_path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[affina.schedules]\nelsewhere = elsewhere:Elsewhere\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    assert "elsewhere" in schedules.names()
    assert schedules.build({"name": "elsewhere", "after": 0.25}).factor(2, 4) == 0.5
    assert schedules.dump(schedules.build({"name": "elsewhere", "after": 0.25})) == {"name": "elsewhere", "after": 0.25}


def test_installed_packages_are_looked_through_once_for_all_shelves(tmp_path: Path, monkeypatch: Any) -> None:
    looked, entry_points = [], part.entry_points

    def look(**group: str) -> Any:
        looked.append(group)
        return entry_points(**group)

    monkeypatch.setattr(part, "entry_points", look)
    monkeypatch.syspath_prepend(tmp_path)  # a path that has not been looked through
    for shelf in (schedules, optimizers, tunings):
        shelf.names()
    assert len(looked) == 1


def test_a_shelf_annotates_a_field_that_accepts_names_mappings_and_parts(add_part: Any) -> None:
    add_part(schedules, "halving", HALVING)

    class Holder(BaseModel):
        schedule: Annotated[Any, schedules]

    for spec in ("halving", {"name": "halving", "after": 0.25}):
        assert Holder(schedule=spec).model_dump(mode="json") == {"schedule": spec}
    alternatives = Holder.model_json_schema()["properties"]["schedule"]["oneOf"]
    assert "halving" in alternatives[0]["enum"]
    halving = next(each for each in alternatives[1:] if each["properties"]["name"] == {"const": "halving"})
    assert halving["properties"]["after"]["description"] == "Share of the steps at the full rate."
    assert halving["required"] == ["name"]
