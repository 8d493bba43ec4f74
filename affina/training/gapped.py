"""Raw texts as texts with gaps."""

from collections.abc import Sequence
from dataclasses import replace

from affina.core.example import Example, Gapped, Text


def with_gaps(examples: Sequence[Example], like: Gapped) -> list[Example]:
    """Every raw text with gaps as `like` has them."""
    return [replace(like, **each.beside(), text=each.text) if type(each) is Text else each for each in examples]
