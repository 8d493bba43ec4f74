"""Models whose answers are known beforehand, and the hall that tasks are asked in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from affina.core.example import Chat, Example, Message, Text
from affina.core.kinds import Row, Sampled, Sampling, Scored
from affina.engine.toy import STOP, Toy


def text_of(tokens: Sequence[int]) -> str:
    return bytes(token for token in tokens if token < STOP).decode("utf-8", "replace")


class Says(Toy):
    """Answers by a function of the last message, and finds texts likely by a function of (before, said): the nats of
    every token; or gives the scores of its labels by a function of the text."""

    def __init__(
        self,
        say: Callable[[str], str] = lambda asked: "",
        nats: Callable[[str, str], float] = lambda before, said: 1.0,
        labels: Callable[[str], Sequence[float]] | None = None,
    ) -> None:
        super().__init__(max_tokens=16384)
        self.say, self.nats, self.scores = say, nats, labels

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        said = [self.say(text_of(each)).encode()[: how.max_tokens] for each in prompts]
        return [Sampled(text_of([*each]), tuple(each), stopped=True) for each in said]

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        return [self._scored(row) for row in rows]

    def _scored(self, row: Row) -> Scored:
        if self.scores is not None:
            return Scored(np.zeros(0), np.array(self.scores(text_of(row.tokens.tolist())), dtype=np.float64))
        before, said = (text_of(row.tokens[part].tolist()) for part in (row.weights == 0, row.weights > 0))
        return Scored(np.full(row.targets, -self.nats(before, said)))


@dataclass
class Masked(Toy):
    """A model that fills gaps."""

    reads: str = "both"

    def __post_init__(self) -> None:
        super().__init__()


def asked(prompt: str) -> str:
    """The last message of a conversation as `Bytes` renders it."""
    return prompt.rpartition("user: ")[2].removesuffix("assistant: ").strip("\x00")


def chat(id: str, question: str, answer: str, split: str = "", **more: Any) -> Chat:
    return Chat(id=id, split=split, messages=(Message("user", question), Message("assistant", answer)), **more)


def texts(*said: str, split: str = "train") -> list[Example]:
    return [Text(id=f"{split}.txt:{n}", text=each, split=split) for n, each in enumerate(said, 1)]
