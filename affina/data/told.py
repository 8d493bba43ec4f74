"""The examples of one record with their ids: mostly one, and of a tree or several instances as many as it gives."""

from collections.abc import Iterator
from dataclasses import replace

from affina.core.example import Example
from affina.core.kinds import Record, Shape


def told(shape: Shape, record: Record, id: str) -> Iterator[Example]:
    """The record's examples: the first is called `id`; those after it `id+2`, `id+3` …, and come from the first.

    Raises Unusable with the reason.
    """
    for number, example in enumerate(shape.examples(record), 1):
        if number == 1:
            yield replace(example, id=id)
        else:
            yield replace(example, id=f"{id}+{number}", origin=id, made=f"{shape.name}: number {number} of one row")
