"""Next-token cross-entropy on the supervised tokens: chats, instructions, raw text, and labels answered as words."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import field_validator

from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Batch, Forward, Loss
from affina.training.weighing import Weighing


class CrossEntropy(Weighing):
    """Mean of -log p over the supervised tokens. A labelled text becomes a question that its label answers."""

    consumes: ClassVar = (Chat, Text, Labelled)

    instruction: str = "Read the message and answer with exactly one of these labels and nothing else:\n{labels}"
    """System message for labelled texts; `{labels}` stands for the labels, one per line."""

    @field_validator("instruction")
    @classmethod
    def _readable(cls, instruction: str) -> str:
        if "{labels}" not in instruction:
            raise ValueError("the instruction must contain {labels}: a base cannot guess the label set")
        return instruction

    def expand(self, examples: Sequence[Example]) -> list[Example]:
        return [self._asked(example) if isinstance(example, Labelled) else example for example in examples]

    def _asked(self, example: Labelled) -> Chat:
        system = self.instruction.replace("{labels}", "\n".join(example.labels))
        turns = (Message("system", system), Message("user", example.text), Message("assistant", example.label))
        return Chat(id=example.id, split=example.split, messages=turns, options=example.labels)

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        assert forward.logprobs_S is not None, "this objective ends in words"
        logprobs_S, spread_S = forward.logprobs_S, None
        if self.label_smoothing:
            assert forward.words is not None, "an engine gives the distributions with the log-probabilities"
            spread_S = forward.words.spread(logprobs_S)
        return Loss((self.shaped(logprobs_S, spread_S) * forward.weights_S).sum(), float(batch.weights_S.sum()))
