"""YAML as people write it: the plain data of a text, where each key of it stands, and keys that stand twice refused."""

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BeforeValidator

from affina.core.errors import Refused

Location = tuple[int | str, ...]

WORDED = BeforeValidator(lambda given: ("off", "on")[given] if isinstance(given, bool) else given)
"""For a setting that is a word: YAML 1.1 reads a bare `on` or `off` as a truth value, and here it is a word again."""


def parsed(text: str, where: str) -> Any:
    """The plain data. Raises Refused, with both lines, for a key that stands twice in one mapping; and for no YAML."""
    try:
        seen: dict[Location, int] = {}
        for place, line in _keys(yaml.compose(text, yaml.SafeLoader), ()):
            if place in seen:
                raise Refused(
                    f"'{'.'.join(map(str, place))}' stands twice",
                    why=f"first on line {seen[place]}, again on line {line}",
                    instead="keep one of them",
                    where=f"{where}:{line}",
                )
            seen[place] = line
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused(f"{where} is not YAML", why=" ".join(str(error).split())) from error


def lines(text: str) -> dict[Location, int]:
    """Where every key and every element of a list stands, 1-based."""
    return dict(_keys(yaml.compose(text, yaml.SafeLoader), ())) if text else {}


def _keys(node: Any, place: Location, above: tuple[Any, ...] = ()) -> Iterator[tuple[Location, int]]:
    """Every key and element with its line, outermost first; a node inside itself (an alias) is not followed."""
    if node in above:
        return
    inside: list[tuple[int | str, Any, Any]]
    if isinstance(node, yaml.MappingNode):
        inside = [(key.value if isinstance(key.value, str) else "?", key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        inside = [(number, value, value) for number, value in enumerate(node.value)]
    else:
        return
    for name, mark, value in inside:
        yield (*place, name), mark.start_mark.line + 1
        yield from _keys(value, (*place, name), (*above, node))
