"""Turns a validation error of a recipe into sentences with the line of the file and the nearest known name."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ValidationError

from affina.core.address import masked
from affina.core.errors import Refused, nearest
from affina.core.part import InvalidPart
from affina.core.yaml_text import Location, lines

WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "dict": "a mapping",
}
LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
SENTENCES = {
    "missing": "is needed and missing",
    "finite_number": "must be a finite number",
    "string_pattern_mismatch": "may hold letters without accents, digits, dots, dashes and underscores, and begins "
    "with a letter or a digit",
}


def located(
    kind: type[BaseModel], error: ValidationError, text: str, where: str, changes: Mapping[str, Any] | None = None
) -> Refused:
    """One Refused for the whole error, a line per problem: at `file:line` when the text is known, or at the one of the
    dotted `changes` that brought it, written `key=value`."""
    known, sentences = lines(text), []
    for place, sentence in _problems(kind, error, ()):
        change = _change(place, changes or {})
        line = next((known[place[:size]] for size in range(len(place), 0, -1) if place[:size] in known), None)
        at = f"{where} {change}" if change else f"{where}:{line}" if line else where if not changes else "recipe"
        name = ".".join(map(str, place)) or "recipe"
        sentences.append(f"{at}: {sentence}" if change.startswith(f"{name}=") else f"{at}: {name}: {sentence}")
    return Refused("\n".join(sentences))


def _change(place: Location, changes: Mapping[str, Any]) -> str:
    """The change that sets this place, or something above or inside it; empty when none does."""
    spelt = [str(step) for step in place]
    touching = [key for key in changes if (path := key.split("."))[: len(spelt)] == spelt[: len(path)]]
    return f"{touching[-1]}={_yaml(changes[touching[-1]])}" if touching else ""


def _problems(kind: type[BaseModel], error: ValidationError, above: Location) -> Iterator[tuple[Location, str]]:
    problems = error.errors()
    places = [_setting(problem["loc"]) for problem in problems]
    for number, problem in enumerate(problems):
        place, inner = (*above, *problem["loc"]), problem.get("ctx", {}).get("error")
        if isinstance(inner, InvalidPart):
            yield from _problems(inner.kind, inner.error, place)
        elif places[number] != problem["loc"]:  # one of the kinds of value that a setting takes: told all together
            if places[number] not in places[:number]:
                alike = [each for each, at in zip(problems, places, strict=True) if at == places[number]]
                yield (*above, *places[number]), _none_of(alike)
        elif problem["type"] == "extra_forbidden":
            known = [name for name in _model_at(kind, problem["loc"][:-1]).model_fields if name != "folder"]
            yield place, f"unknown setting; {nearest(str(place[-1]), known)}"
        elif problem["type"] == "model_type":
            yield place, _mapping(_model_at(kind, problem["loc"]), str(place[-1]), problem["input"])
        elif inner is not None:
            yield place, str(inner)
        else:
            yield place, _sentence(problem)


def _sentence(problem: Any) -> str:
    """What pydantic found, in words for the person who wrote the value."""
    type, got = problem["type"], f", got {_got(problem['input'])}"
    if type in SENTENCES:
        return SENTENCES[type] + ("" if type == "missing" else got)
    if type in LIMITS:
        words, limit = LIMITS[type]
        return f"must be {words} {problem['ctx'][limit]:g}{got}"
    if type == "too_short":
        return "needs at least one entry"
    if type == "string_too_long":
        return f"has at most {problem['ctx']['max_length']} letters{got}"
    return f"must be {_wanted(problem)}{got}"


def _wanted(problem: Any) -> str:
    """What is expected in a value's place; a list is shown as it would be written."""
    type, given = problem["type"], problem["input"]
    if type == "literal_error":
        return str(problem["ctx"]["expected"])
    if type == "list_type" and isinstance(given, (str, int, float)):
        return f"a list like [{_yaml(given)}]"
    return WANTED.get(type.partition("_")[0]) or problem["msg"][:1].lower() + problem["msg"][1:]


def _none_of(problems: Sequence[Any]) -> str:
    """A value that is none of the several kinds of value its setting takes."""
    inside = next((each for each in problems if isinstance(each["loc"][-1], int)), None)
    wanted = [_wanted(each) for each in problems if each is not inside]
    if inside:
        wanted.append(f"a list in which each entry is {_wanted(inside)}")
    return f"must be {' or '.join(wanted)}, got {_got((inside or problems[0])['input'])}"


def _mapping(kind: type[BaseModel], name: str, given: Any) -> str:
    """A section given a bare value: what was probably meant where one setting is needed, or has examples."""
    needed = [key for key, field in kind.model_fields.items() if field.is_required() or field.examples]
    if len(needed) == 1 and given is not None:
        return f"must be a mapping like `{name}: {{{needed[0]}: {_yaml(given)}}}`, got {_got(given)}"
    known = ", ".join(key for key in kind.model_fields if key != "folder")
    return f"must be a mapping of settings ({known}), got {_got(given)}"


def _got(value: Any) -> str:
    return _cut(repr(value)) if isinstance(value, str) else _yaml(value)


def _yaml(value: Any) -> str:
    """A value as YAML writes it, on one line and not endless."""
    scalar = value is None or isinstance(value, (str, int, float))
    text = yaml.safe_dump(value, width=math.inf, allow_unicode=True) if scalar else str(value)
    return _cut(" ".join(text.removesuffix("...\n").split()))


def _cut(text: str) -> str:
    text = masked(text)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _setting(place: Location) -> Location:
    """The setting a location belongs to: what follows a union's tag (`list[str]`, `literal['a']`) is left out."""
    tags = (at for at, step in enumerate(place) if isinstance(step, str) and re.search(r"[\[\]']", step))
    return place[: next(tags, len(place))]


def _model_at(kind: type[BaseModel], place: Location) -> type[BaseModel]:
    for key in place:
        hint = get_type_hints(kind).get(str(key))
        models = [each for each in (hint, *get_args(hint)) if isinstance(each, type) and issubclass(each, BaseModel)]
        kind = models[0] if models else kind
    return kind
