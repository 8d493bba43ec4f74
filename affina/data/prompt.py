"""The prompt library: a file per prompt in `prompts/`, with its version, its language and its turns; `{places}` filled.

A prompt is never changed without a new version: rows that were made with it name both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from affina.core.errors import Refused, nearest
from affina.core.example import Message
from affina.core.yaml_text import parsed

FOLDER = Path(__file__).parent / "prompts"
PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Prompt:
    """Turns with places in braces; a prompt of one turn of the role `text` is raw text that a model goes on from."""

    name: str
    version: int
    language: str
    purpose: str
    turns: tuple[Message, ...]

    @property
    def reference(self) -> str:
        """What a row that was made with it names: `question_en@2`; a prompt outside the library by its text."""
        return f"{self.name}@{self.version}" if self.version else self.name

    @property
    def places(self) -> frozenset[str]:
        """What has to be given to fill it."""
        return frozenset(place for turn in self.turns for place in PLACE.findall(turn.content))

    def filled(self, given: Mapping[str, str]) -> tuple[Message, ...]:
        """Its turns; braces inside what is given stay as they are. Raises Refused for a place that nothing is given
        for."""
        if missing := sorted(self.places - given.keys()):
            raise Refused(f"the prompt {self.name} cannot be filled", why=f"nothing is given for {', '.join(missing)}")
        return tuple(Message(turn.role, PLACE.sub(lambda place: given[place[1]], turn.content)) for turn in self.turns)

    def text(self, given: Mapping[str, str]) -> str:
        """A prompt of one turn, filled."""
        (turn,) = self.filled(given)
        return turn.content


def written(template: str) -> Prompt:
    """A prompt that somebody wrote where it is used: one turn of the user, named by what it says."""
    return Prompt(template, 0, "", "", (Message("user", template),))


def names() -> list[str]:
    """Every prompt of the library, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def prompt(name: str) -> Prompt:
    """The prompt in the file of that name. Raises Refused for an unknown one, with the nearest."""
    path = FOLDER / f"{name}.yaml"
    if name not in names():
        raise Refused(f"no prompt is called '{name}'", instead=nearest(name, names()))
    given = parsed(path.read_text(encoding="utf-8"), str(path))
    turns = tuple(Message(turn["role"], turn["content"].removesuffix("\n")) for turn in given["turns"])
    return Prompt(name, given["version"], given["language"], given["purpose"], turns)
