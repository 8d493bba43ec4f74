"""What stands before a Markdown text, between lines of `---` (YAML) or `+++` (TOML), as columns."""

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, NamedTuple

import yaml

LONGEST = 1 << 16
FENCED = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.M | re.S)


class Divided(NamedTuple):
    """The columns before the text, what is wrong with them, and at which character the text begins."""

    columns: dict[str, Any]
    problem: str
    start: int


def divided(text: str) -> Divided:
    """A text without front matter begins at 0; so does one whose first fences hold no keys: they are rules."""
    found = FENCED.match(text[: LONGEST + 8])
    if found is None:
        return Divided({}, "", 0)
    try:
        held = tomllib.loads(found[2]) if found[1] == "+++" else _yaml(found[2])
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        keyed = re.match(r"\s*[\w-]+\s*[:=]", found[2])  # it was meant as front matter
        return Divided(
            {}, f"its front matter cannot be read: {' '.join(str(error).split())}", found.end() * bool(keyed)
        )
    if not isinstance(held, Mapping):
        return Divided({}, "", 0)
    return Divided({str(key): _plain(value) for key, value in held.items()}, "", found.end())


def _yaml(text: str) -> Any:
    """Raises ValueError for aliases, by which a few lines can stand for millions."""
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
        raise ValueError("it repeats parts by reference (`*name`): write them out")
    return yaml.safe_load(text)


def _plain(value: Any) -> Any:
    """As JSON would hold it; dates and times in ISO 8601."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(held) for held in value]
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)
