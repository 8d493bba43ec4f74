"""Dotted settings (`train.batch`, `data.transforms.1.test`) put into a recipe's plain data."""

from typing import Any

from affina.core.errors import Refused


def set_dotted(given: Any, path: list[str], value: Any) -> None:
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
