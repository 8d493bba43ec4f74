"""Looking at what is there: runs, one run, the shelves, a part's settings, and the JSON schema of a recipe."""

import builtins
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from affina.core.errors import Refused, nearest
from affina.core.gate import GRAMMAR, PATTERN, SUITE, Gate
from affina.core.kinds import SHELVES
from affina.core.model_choice import ModelChoice
from affina.core.part import Part, Shelf
from affina.core.recipe import Data, Evaluate, Recipe, Train
from affina.core.run import Run

SECTIONS: dict[str, type[BaseModel]] = {
    "recipe": Recipe,
    "model": ModelChoice,
    "data": Data,
    "train": Train,
    "evaluate": Evaluate,
    "gate": Gate,
}


def runs(root: Path | str = "runs") -> builtins.list[dict[str, Any]]:
    """Every run under `root`, the latest changed first: name, state, step, steps, decision, folder."""
    shown = [run.show() for run in Run.all(Path(root))]
    return [
        {key: one[key] for key in ("name", "state", "step", "steps", "folder")}
        | {"decision": (one["verdict"] or {}).get("decision")}
        for one in shown
    ]


def show(run: str, root: Path | str = "runs") -> dict[str, Any]:
    """All that a run knows of itself. Raises Refused with the nearest name when there is no such run."""
    found = Run.find(run, Path(root))
    report = found.folder / "report.html"
    return {**found.show(), "report": str(report) if report.is_file() else None}


def list(shelf: str | None = None) -> dict[str, dict[str, str]]:
    """Shelf → part → its first sentence, for one shelf or all of them. Raises Refused for an unknown shelf."""
    if shelf is not None and shelf not in SHELVES:
        raise Refused(f"no shelf is called '{shelf}'", instead=nearest(shelf, [*SHELVES]))
    return {title: _sentences(SHELVES[title]) for title in ([shelf] if shelf else SHELVES)}


def describe(part: str, shelf: str | None = None) -> dict[str, Any]:
    """A part's (or a recipe section's) sentence and its fields with type, default, limits and explanation.

    Raises Refused for an unknown name, and for one that stands on several shelves when none is given.
    """
    if shelf is None and "/" in part:
        shelf, _, part = part.partition("/")
    if shelf is not None and shelf not in SHELVES:
        raise Refused(f"no shelf is called '{shelf}'", instead=nearest(shelf, [*SHELVES]))
    holders = [title for title in ([shelf] if shelf else SHELVES) if part in SHELVES[title].names()]
    if not holders and shelf is None and part in SECTIONS:
        return _described(part, "", SECTIONS[part])
    if not holders:
        known = SHELVES[shelf].names() if shelf else [*SECTIONS, *(n for s in SHELVES.values() for n in s.names())]
        raise Refused(f"no part is called '{part}'", instead=nearest(part, sorted({*known})))
    if len(holders) > 1:
        choices = " or ".join(f"`affina describe {title}/{part}`" for title in holders)
        raise Refused(f"'{part}' stands on several shelves", instead=choices)
    return _described(part, holders[0], SHELVES[holders[0]].find(part))


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a recipe's file, every part of every shelf included: what editors complete."""
    plain = Recipe.model_json_schema()
    plain["properties"].pop("folder", None)
    plain["required"] = [name for name in plain["required"] if name != "name"]  # the file's own name is the default
    gate = plain["$defs"]["Gate"]
    rule = {"type": "string", "pattern": PATTERN, "description": f"What the metric must be: {GRAMMAR}."}
    gate["properties"] |= dict.fromkeys(SHELVES["metrics"].names(), rule)
    gate["patternProperties"] = {rf"^{SUITE.pattern}$": rule}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **plain}


def _sentences(shelf: Shelf[Any]) -> dict[str, str]:
    found = {}
    for name in shelf.names():
        try:
            found[name] = _first_line(shelf.find(name))
        except Refused as error:  # an optional library is missing: the sentence says which
            found[name] = str(error)
    return found


def _first_line(kind: type[BaseModel]) -> str:
    return (kind.__doc__ or "").strip().split("\n")[0]


def _described(name: str, shelf: str, kind: type[BaseModel]) -> dict[str, Any]:
    fields = [
        {
            "name": key,
            "type": _type_name(field.annotation, field.metadata),
            "default": None if field.default is PydanticUndefined else _plain(field.get_default()),
            "required": field.is_required(),
            "limits": ", ".join(_limit(each) for each in field.metadata if _limit(each)),
            "doc": " ".join((field.description or "").split()),
        }
        for key, field in kind.model_fields.items()
        if not field.exclude
    ]
    return {"name": name, "shelf": shelf, "doc": " ".join((kind.__doc__ or "").split()), "fields": fields}


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return {"name": value.name, **value.changed()} if value.changed() else value.name
    return value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, BaseModel) else value


def _type_name(hint: Any, metadata: typing.Iterable[Any] = ()) -> str:
    """A hint as a person writes it: `int or none`, `one of 'a', 'b'`, `list of transforms`."""
    shelf = next((each for each in metadata if isinstance(each, Shelf)), None)
    if shelf is not None:
        return f"one of {shelf.title}"
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _type_name(inside[0], inside[1:])
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(each) for each in inside)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_name(each) for each in inside)
    if origin is not None:
        return f"{origin.__name__} of {', '.join(_type_name(each) for each in inside)}"
    return "none" if hint is type(None) else str(getattr(hint, "__name__", hint))


def _limit(constraint: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(constraint, key)}"
        for key, sign in signs.items()
        if getattr(constraint, key, None) is not None
    ]
    return ", ".join(found)
