"""Next-token cross-entropy on the supervised tokens: chats, instructions, raw text, parallel text, labels as words."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import field_validator

from affina.core.example import Chat, Example, Labelled, Message, Parallel, Text
from affina.training.weighing import Weighing
from affina.training.worded import Worded


class CrossEntropy(Worded, Weighing):
    """Mean of -log p over the supervised tokens. A labelled text becomes a question that its label answers,
    a text and what it becomes a question and its answer."""

    consumes: ClassVar = (Chat, Text, Labelled, Parallel)

    instruction: str = "Read the message and answer with exactly one of these labels and nothing else:\n{labels}"
    """System message for labelled texts; `{labels}` stands for the labels, one per line."""

    @field_validator("instruction")
    @classmethod
    def _readable(cls, instruction: str) -> str:
        if "{labels}" not in instruction:
            raise ValueError("the instruction must contain {labels}: a base cannot guess the label set")
        return instruction

    def expand(self, examples: Sequence[Example]) -> list[Example]:
        return [self._put(example) for example in examples]

    def _put(self, example: Example) -> Example:
        if isinstance(example, Parallel):
            turns = (Message("user", example.source), Message("assistant", example.result))
            return Chat(**example.beside(), messages=turns)
        return self._asked(example) if isinstance(example, Labelled) else example

    def _asked(self, example: Labelled) -> Chat:
        system = self.instruction.replace("{labels}", "\n".join(example.labels))
        turns = (Message("system", system), Message("user", example.text), Message("assistant", example.label))
        return Chat(**example.beside(), messages=turns, options=example.labels)
