"""Exact duplicates: of rows that show and teach the same, white space aside, the first is kept."""

import json
from collections.abc import Collection, Iterator
from dataclasses import fields

from affina.core.example import Chat, Example
from affina.core.kinds import Desk, Transform

ASIDE = ("id", "split", "labels", "facts", "source", "made")
"""What says where an example came from, not what it teaches."""


class Dedup(Transform):
    """Drops exact repetitions. The same text with another target is none: both stay, and preparation counts them."""

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples without repetitions, order kept; each dropped one names the row it repeats."""
        first: dict[str, Example] = {}
        for example in examples:
            earlier = first.setdefault(_content(example), example)
            if earlier is example:
                yield example
            else:
                desk.books.drop(example, f"exact duplicate of {earlier.id}")


def _content(example: Example) -> str:
    """Everything the example shows and teaches, as one text with single spaces."""
    if not isinstance(example, Chat):
        told = [getattr(example, each.name) for each in fields(example) if each.name not in ASIDE]
        return json.dumps([_spaced(each if isinstance(each, str) else repr(each)) for each in told])
    turns = [(turn.role, _spaced(turn.content), turn.extra) for turn in example.messages]
    return json.dumps([turns, example.tools, example.options], sort_keys=True)


def _spaced(text: str) -> str:
    return " ".join(text.split())
