"""A split by place: which rows train is settled before the product reads them, so that other tools get the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from pydantic import Field

from affina.core.example import Example
from affina.core.kinds import Desk, Transform


class HeldOut(Transform):
    """The file's first `training` lines train, the next `validation` lines validate, the rest is the test."""

    training: int = Field(ge=1)
    """Lines that train."""
    validation: int = Field(ge=1)
    """Lines after them that validate."""

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The same examples in the same order, each with its split; an id ends in the line it came from."""
        return self._dealt(examples)

    def _dealt(self, examples: Collection[Example]) -> Iterator[Example]:
        for example in examples:
            line = int(example.id.rpartition(":")[2])
            held = "validation" if line <= self.training + self.validation else "test"
            yield replace(example, split="train" if line <= self.training else held)
