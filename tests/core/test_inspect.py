"""Looking: runs, shelves, parts and the schema say what is there, from the parts themselves."""

import re
from pathlib import Path
from typing import Any

import pytest

import affina
from affina.core.errors import Refused
from affina.core.kinds import SHELVES, objectives, schedules
from affina.core.recipe import Recipe
from affina.core.run import Run

WRONG = "wrong"


def complaints(plain: Any, schema: dict[str, Any], root: dict[str, Any]) -> list[str]:
    """What the parts of JSON schema that recipes use say against plain data: an editor's view, in few lines."""
    if "$ref" in schema:
        assert schema["$ref"].startswith("#/$defs/")
        return complaints(plain, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
    found = []
    for one, count in (("anyOf", range(1, 99)), ("oneOf", range(1, 2))):
        if one in schema and sum(not complaints(plain, each, root) for each in schema[one]) not in count:
            found.append(f"{plain!r} fits no alternative, or several, of {one}")
    if "enum" in schema and plain not in schema["enum"]:
        found.append(f"{plain!r} is none of {schema['enum']}")
    if "const" in schema and plain != schema["const"]:
        found.append(f"{plain!r} is not {schema['const']!r}")
    if "type" in schema and (not isinstance(plain, kinds[schema["type"]]) or isinstance(plain, bool)):
        found.append(f"{plain!r} is no {schema['type']}")
    if isinstance(plain, str) and not re.search(schema.get("pattern", ""), plain):
        found.append(f"{plain!r} does not match {schema['pattern']}")
    if isinstance(plain, int | float) and plain < schema.get("minimum", plain):
        found.append(f"{plain!r} is below {schema['minimum']}")
    if isinstance(plain, list):
        found += [each for item in plain for each in complaints(item, schema.get("items", {}), root)]
    if isinstance(plain, dict):
        known = schema.get("properties", {})
        found += [f"{key} is missing" for key in schema.get("required", []) if key not in plain]
        for key, value in plain.items():
            if key in known:
                found += complaints(value, known[key], root)
            elif schema.get("additionalProperties") is False:
                found.append(f"{key} is unknown")
            elif isinstance(schema.get("additionalProperties"), dict):
                found += complaints(value, schema["additionalProperties"], root)
    return found


def references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"]] if "$ref" in schema else []
        return own + [each for value in schema.values() for each in references(value)]
    return [each for value in schema for each in references(value)] if isinstance(schema, list) else []


def full_recipe() -> dict[str, Any]:
    """A recipe that names a part of every shelf a recipe can name."""
    return {
        "model": {"base": "folder"},
        "data": {
            "read": ["a.csv"],
            "reader": "csv",
            "shape": "labelled",
            "transforms": SHELVES["transforms"].names(),
            "max_tokens": 512,
        },
        "tuning": "lora",
        "objective": "cross_entropy",
        "regime": "ordered",
        "train": {"epochs": 1, "learning_rate": 1e-4, "schedule": {"name": "cosine"}, "optimizer": "adamw"},
        "evaluate": {
            "metrics": SHELVES["metrics"].names(),
            "gate": {"accuracy": "better than base", "margin": 0.05},
        },
    }


def test_every_recipe_that_loads_fits_the_schema() -> None:
    schema = affina.schema()
    assert complaints(full_recipe(), schema, schema) == []
    Recipe.build({"name": "full", **full_recipe()})


LISTED = ("transforms", "metrics", "penalties", "tasks")


@pytest.mark.parametrize(
    "title", sorted({*SHELVES} - {"proofs", "askers", "heads", "novelty", "makers", "exports", "pruning"})
)
def test_a_recipe_of_every_parts_defaults_fits_the_schema(title: str) -> None:
    schema = affina.schema()
    section, key = {
        "readers": ("data", "reader"),
        "shapes": ("data", "shape"),
        "architectures": ("model", "scratch"),
        "tokenizers": ("model", "tokenizer"),
        "transforms": ("data", "transforms"),
        "metrics": ("evaluate", "metrics"),
        "tasks": ("evaluate", "suites"),
        "schedules": ("train", "schedule"),
        "optimizers": ("train", "optimizer"),
        "penalties": ("", "penalties"),
        "noise": ("model", "noise"),
        "averaging": ("evaluate", "averaging"),
    }.get(title, ("", title.removesuffix("s")))
    for name in SHELVES[title].names():
        whole = any(field.is_required() for field in SHELVES[title].find(name).model_fields.values())
        for spec in (name,) if whole else (name, {"name": name}):
            plain = full_recipe()
            (plain[section] if section else plain)[key] = [spec] if title in LISTED else spec
            assert complaints(plain, schema, schema) == []


@pytest.mark.parametrize(
    ("section", "setting"),
    [
        ("train", {"bach": 4}),
        ("train", {"schedule": "cosin"}),
        ("train", {"schedule": {"name": "cosine", "wram": 1}}),
        ("train", {"batch": 0}),
        ("evaluate", {"gate": {"acuracy": "better than base"}}),
        ("evaluate", {"gate": {"accuracy": "worse"}}),
        ("data", {"read": 3}),
    ],
)
def test_what_a_recipe_refuses_does_not_fit_the_schema(section: str, setting: dict[str, Any]) -> None:
    schema, plain = affina.schema(), full_recipe()
    plain[section] = {**plain[section], **setting}
    assert complaints(plain, schema, schema)
    with pytest.raises(Refused):
        Recipe.build({"name": WRONG, **plain})


def test_one_file_may_be_written_without_a_list() -> None:
    schema, plain = affina.schema(), full_recipe()
    plain["data"] = {**plain["data"], "read": "a.csv"}
    assert complaints(plain, schema, schema) == []
    assert Recipe.build({"name": "one", **plain}).data.read == ["a.csv"]


def test_every_reference_of_the_schema_resolves() -> None:
    schema = affina.schema()
    assert {each.removeprefix("#/$defs/") for each in references(schema)} <= {*schema["$defs"]}
    assert "folder" not in schema["properties"]
    assert "name" not in schema["required"]


def test_every_shelf_is_listed_with_a_sentence_per_part() -> None:
    listed = affina.list()
    assert [*listed] == [*SHELVES]
    for shelf, parts in listed.items():
        assert [*parts] == SHELVES[shelf].names()
        for name, sentence in parts.items():
            assert sentence, f"{shelf}/{name} has no sentence"
    assert affina.list("schedules") == {"schedules": listed["schedules"]}


def test_a_part_whose_library_is_missing_is_listed_with_what_it_needs(add_part: Any) -> None:
    add_part(schedules, "needy", "import absentlibrary\n")
    assert affina.list("schedules")["schedules"]["needy"] == (
        "schedule 'needy' needs absentlibrary. pip install 'absentlibrary'"
    )


def test_an_unknown_shelf_or_part_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(Refused, match=r"no shelf is called 'metric'. did you mean 'metrics'"):
        affina.list("metric")
    with pytest.raises(Refused, match=r"no part is called 'lorra'. did you mean 'lora'"):
        affina.describe("lorra")
    with pytest.raises(Refused, match=r"no part is called 'rank'. known: adafactor, adamw"):
        affina.describe("rank", shelf="optimizers")


def test_a_part_is_described_by_its_fields() -> None:
    described = affina.describe("lora")
    assert (described["name"], described["shelf"]) == ("lora", "tuning")
    rank = next(field for field in described["fields"] if field["name"] == "rank")
    assert (rank["type"], rank["default"], rank["required"]) == ("int", 16, False)
    assert rank["doc"]


def test_a_section_of_the_recipe_is_described_too() -> None:
    fields = {field["name"]: field for field in affina.describe("train")["fields"]}
    assert fields["batch"]["limits"] == "≥ 1"
    assert fields["epochs"]["type"] == "float or none"
    assert fields["schedule"]["type"] == "one of schedules"
    assert fields["compute"]["type"]
    assert {field["name"] for field in affina.describe("recipe")["fields"]} >= {"model", "data", "train"}


def test_a_name_on_two_shelves_asks_which(add_part: Any) -> None:
    source = '''"""A twin."""
from affina.core.kinds import Objective


class Cosine(Objective):
    """A twin."""

    consumes = ()

    def loss(self, forward, batch): ...
'''
    add_part(objectives, "cosine", source)
    with pytest.raises(Refused, match=r"`affina describe objectives/cosine` or `affina describe schedules/cosine`"):
        affina.describe("cosine")
    assert affina.describe("schedules/cosine")["shelf"] == "schedules"


def test_runs_are_told_with_state_step_and_decision(tmp_path: Path) -> None:
    assert affina.runs(root=tmp_path / "absent") == []
    run = Run.create(tmp_path, "first")
    run.mark("finished")
    run.log(7, "train", {"loss": 1.0})
    run.write("result.json", {"verdict": {"decision": "promote", "reasons": []}})
    assert affina.runs(root=tmp_path) == [
        {
            "name": "first",
            "state": "finished",
            "step": 7,
            "steps": None,
            "folder": str(run.folder),
            "decision": "promote",
        }
    ]
    assert affina.show("first", root=tmp_path)["report"] is None
    run.write("report.html", "<p></p>")
    assert affina.show("first", root=tmp_path)["report"] == str(run.folder / "report.html")
