"""A recipe's settings as plain data: what differs from the defaults, or all of it; and a dotted setting put in."""

from typing import Any

from pydantic import BaseModel

from affina.core.errors import Refused
from affina.core.part import Part


def shortest(section: BaseModel) -> dict[str, Any]:
    """What differs from the defaults. pydantic's own `exclude_defaults` takes a built part for no default's name."""
    plain = section.model_dump(mode="json")
    kept = {}
    for name, field in type(section).model_fields.items():
        inner = getattr(section, name)
        below = isinstance(inner, BaseModel) and not isinstance(inner, Part)
        value = shortest(inner) if below else plain.get(name)
        if name in plain and value != ({} if below else field.default):
            kept[name] = value
    return kept


def whole(value: Any) -> Any:
    """A setting as plain data with every field of every part in it."""
    if isinstance(value, Part):
        return {"name": value.name, **{name: whole(getattr(value, name)) for name in type(value).model_fields}}
    if isinstance(value, BaseModel):
        return {name: whole(getattr(value, name)) for name in type(value).model_fields}
    return [whole(each) for each in value] if isinstance(value, list) else value


def put(given: Any, path: list[str], value: Any) -> None:
    """Sets a dotted setting in plain data; a part given by its bare name becomes a mapping when its field is set."""
    for step, key in enumerate(path[:-1]):
        at = _place(given, key, path)
        inner = given[at] if isinstance(given, list) or at in given else {}
        inner = {"name": inner} if isinstance(inner, str) else {} if inner is None else inner
        if not isinstance(inner, (dict, list)):
            raise Refused(f"'{'.'.join(path)}' cannot be set", why=f"'{'.'.join(path[: step + 1])}' is {inner!r}")
        given[at] = inner
        given = inner
    given[_place(given, path[-1], path)] = value


def _place(given: Any, key: str, path: list[str]) -> Any:
    if not isinstance(given, list):
        return key
    if not key.isdecimal() or int(key) >= len(given):
        why = f"'{key}' is no place in a list of {len(given)}; the first is 0"
        raise Refused(f"'{'.'.join(path)}' cannot be set", why=why)
    return int(key)
