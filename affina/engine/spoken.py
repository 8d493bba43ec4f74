"""Renders for a model whose tokens nobody here knows: a conversation stays the messages it is, a text its bytes.

As tokens stand UTF-8 bytes; each turn is JSON between two marks, so that what is to be asked can be read back.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Message, Parallel, Text
from affina.core.kinds import Row

TURN, END, TOOLS = 256, 257, 258
LONGEST = 1 << 20
"""Bytes: the endpoint itself knows what it takes, and says so."""


@dataclass(frozen=True)
class Bytes:
    """The vocabulary, as far as it matters."""

    digest: str = "utf-8"
    named: dict[str, str] = field(default_factory=dict)
    special: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What an endpoint is to be asked: a conversation, or a text to go on with where there are no messages."""

    messages: tuple[dict[str, Any], ...]
    tools: tuple[Any, ...] = ()
    text: str = ""


class Spoken:
    """A renderer that leaves rendering to the endpoint."""

    max_tokens = LONGEST
    stops = frozenset({END})
    vocabulary = Bytes()

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        """A row per example; its targets count the bytes that are said. Raises Refused for what words do not ask."""
        return [self._row(example) for example in examples]

    def prompt(self, example: Chat | Parallel) -> list[int]:
        """Everything before the last assistant turn. Raises Refused for a text with a source."""
        if isinstance(example, Parallel):
            raise Refused("a text with a source needs an encoder–decoder", why="an endpoint is asked in conversations")
        roles = [message.role for message in example.messages]
        end = len(roles) - 1 - roles[::-1].index("assistant") if roles[-1:] == ["assistant"] else len(roles)
        return self.opening(example.messages[:end], example.tools)

    def continued(self, text: str) -> list[int]:
        """An unfinished text."""
        return list(text.encode())

    def opening(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> list[int]:
        """A conversation that awaits an answer."""
        given = [TOOLS, *_bytes(list(tools)), END] if tools else []
        return [*given, *(token for message in messages for token in _turn(message))]

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as text, marks left out."""
        return bytes(token for token in tokens if token < TURN).decode("utf-8", "replace")

    def drawn(self, row: Row, draws: np.random.Generator) -> Row:
        """The row itself: it has no gaps."""
        return row

    def objection(self, example: Example) -> str:
        """Why an example cannot be put to it, in a sentence; empty: the endpoint says itself what it does not take."""
        return ""

    def asked(self, tokens: Sequence[int]) -> Asked:
        """The inverse of `opening` and `continued`."""
        if not any(token >= TURN for token in tokens):
            return Asked((), text=self.text(tokens))
        parts = list(_marked(tokens))
        messages = tuple(each for mark, each in parts if mark == TURN)
        return Asked(messages, tuple(tool for mark, each in parts if mark == TOOLS for tool in each))

    def _row(self, example: Example) -> Row:
        if isinstance(example, Text) and type(example) is Text:
            tokens = self.continued(example.text)
            return _weighted(example.id, tokens, [0.0] + [1.0] * (len(tokens) - 1))
        if not isinstance(example, Chat):
            kind = type(example).__name__.lower()
            raise Refused(f"{example.id}: an endpoint is not asked {kind} examples", why="it answers in words")
        tokens = self.opening((), example.tools)
        weights = [0.0] * len(tokens)
        for message in example.messages:
            turn = _turn(message)
            tokens += turn
            said = len(message.content.encode()) + 1 if message.role == "assistant" else 0
            weights += [0.0] * (len(turn) - said) + [1.0] * said
        return _weighted(example.id, tokens, weights)


def _weighted(id: str, tokens: list[int], weights: list[float]) -> Row:
    return Row(id, np.array(tokens, np.int32), np.array(weights[: len(tokens)], np.float32))


def _turn(message: Message) -> list[int]:
    return [TURN, *_bytes(message.as_dict()), END]


def _bytes(plain: Any) -> bytes:
    return json.dumps(plain).encode()


def _marked(tokens: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """(mark, what stands between it and its end)."""
    start = 0
    for place, token in enumerate(tokens):
        if token in (TURN, TOOLS):
            start = place
        elif token == END:
            yield tokens[start], json.loads(bytes(tokens[start + 1 : place]))
