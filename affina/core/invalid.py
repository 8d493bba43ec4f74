"""Turns a validation error of a recipe into sentences with the line of the file and the nearest known name."""

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ValidationError

from affina.core.errors import Refused, nearest
from affina.core.part import InvalidPart

Location = tuple[int | str, ...]


def located(kind: type[BaseModel], error: ValidationError, text: str, where: str) -> Refused:
    """One Refused for the whole error, a line per problem, each with `file:line` when the text is known."""
    lines = _lines(text)
    sentences = []
    for place, sentence in _problems(kind, error, ()):
        line = next((lines[place[:size]] for size in range(len(place), 0, -1) if place[:size] in lines), None)
        at = f"{where}:{line}" if line else where
        sentences.append(f"{at}: {'.'.join(map(str, place)) or 'recipe'}: {sentence}")
    return Refused("\n".join(sentences))


def _problems(kind: type[BaseModel], error: ValidationError, above: Location) -> Iterator[tuple[Location, str]]:
    for problem in error.errors():
        place = (*above, *problem["loc"])
        inner = problem.get("ctx", {}).get("error")
        if isinstance(inner, InvalidPart):
            yield from _problems(inner.kind, inner.error, place)
        elif problem["type"] == "extra_forbidden":
            known = [name for name in _model_at(kind, problem["loc"][:-1]).model_fields if name != "folder"]
            yield place, f"unknown setting; {nearest(str(place[-1]), known)}"
        elif problem["type"] == "missing":
            yield place, "is needed and missing"
        elif inner is not None:
            yield place, str(inner)
        else:
            yield place, f"{_lower(problem['msg'])}, got {problem['input']!r}"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _model_at(kind: type[BaseModel], place: Location) -> type[BaseModel]:
    for key in place:
        hint = get_type_hints(kind).get(str(key))
        models = [each for each in (hint, *get_args(hint)) if isinstance(each, type) and issubclass(each, BaseModel)]
        kind = models[0] if models else kind
    return kind


def _lines(text: str) -> dict[Location, int]:
    """Where every key of a YAML text stands, 1-based."""
    found: dict[Location, int] = {}

    def walk(node: Any, place: Location) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[(*place, key.value)] = key.start_mark.line + 1
                walk(value, (*place, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                found[(*place, number)] = value.start_mark.line + 1
                walk(value, (*place, number))

    if text:
        walk(yaml.compose(text), ())
    return found
