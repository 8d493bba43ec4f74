"""Answered examples that stand before a bank's items: the same before each, drawn by what they say, never asked."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, WithJsonSchema

from affina.core.section import Section


class FewShot(Section):
    """A prompt with answered examples before it."""

    shots: int = Field(ge=1)
    """How many examples stand before every item."""
    rows: str = ""
    """The file they are drawn from, which has the bank's columns; when left out, the bank's own: what is drawn is then
    not asked."""
    text: str = ""
    """What the model is asked, with the columns' names in braces; the bank's usual prompt when left out."""


def _kind(given: Any) -> str:
    return "text" if isinstance(given, str) else "few_shot"


SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "shots": {"type": "integer", "minimum": 1}, "rows": {"type": "string"}, "text": {"type": "string"},
            },
            "required": ["shots"],
            "additionalProperties": False,
        },
    ]
}  # fmt: skip
"""For editors; a shelf's schema stands inside a recipe's, where a reference to definitions of its own leads nowhere."""
Prompt = Annotated[
    Annotated[str, Tag("text")] | Annotated[FewShot, Tag("few_shot")], Discriminator(_kind), WithJsonSchema(SCHEMA)
]
"""A prompt, or its settings with the number of examples before it."""


def drawn(texts: Sequence[str], shots: int) -> list[int]:
    """The places of the texts to show, each text once: the same whatever order they stand in, and for every model."""
    first = {text: place for place, text in reversed([*enumerate(texts)])}
    ranked = sorted(first, key=lambda text: blake2b(text.encode("utf-8", "surrogatepass")).digest())
    return [first[text] for text in ranked[:shots]]
