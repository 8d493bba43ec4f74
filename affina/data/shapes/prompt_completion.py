"""A question column and an answer column: a conversation of one user turn and one assistant turn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from affina.core.example import Chat, Example, Message
from affina.core.kinds import Record, Shape
from affina.data import columns
from affina.data.shapes.parallel import pair

ASKED = tuple(
    re.findall(
        r"\w+",
        """prompt question query input instruction request source user dialogue document article text
    domanda richiesta istruzione ingresso dialogo documento articolo testo""",
    )
)
ANSWERED = tuple(
    re.findall(
        r"\w+",
        """completion response answer output target reply assistant solution code summary highlights
    risposta completamento uscita soluzione riassunto sintesi""",
    )
)


LAST = re.findall(r"\w+", "prompt question query instruction domanda richiesta istruzione")
LAST_ANSWERED = re.findall(r"\w+", "completion response answer output reply solution risposta soluzione")
"""What a column's name may end in that asks, or answers."""


class PromptCompletion(Shape):
    """One text asks, one text answers; the answer is the target."""

    makes: ClassVar[type[Example]] = Chat

    prompt: str = "prompt"
    """The column of what is asked."""
    completion: str = "completion"
    """The column of the right answer."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """Exactly one column with a name for questions and one with a name for answers, in English or Italian; or with
        such a last word in its name."""
        found = [name for name, values in columns.usual(records).items() if columns.texts(values)]
        asked = columns.named(found, ASKED) or columns.last_word(found, LAST)
        if len(asked) > 1:  # where a question came from, or who asked it
            asked = [name for name in asked if name.lower() not in ("source", "user")]
        answered = columns.named(found, ANSWERED) or columns.last_word(found, LAST_ANSWERED)
        if (
            len(asked) != 1
            or len(answered) != 1
            or (asked[0].lower(), answered[0].lower()) == ("instruction", "output")
            or pair((asked[0], answered[0]))
        ):
            return None
        return (
            PromptCompletion(prompt=asked[0], completion=answered[0]),
            f"prompt_completion: column '{asked[0]}' asks and column '{answered[0]}' answers",
        )

    def example(self, record: Record) -> Chat:
        """Raises Unusable when either text is empty or missing."""
        asked = columns.text(record, self.prompt, "prompt")
        answer = columns.text(record, self.completion, "completion")
        return Chat(id=record.where, messages=(Message("user", asked), Message("assistant", answer)))
