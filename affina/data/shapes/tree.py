"""Message trees as Open Assistant writes them (Köpf et al. 2023): replies to replies, those to one message ranked."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from affina.core.example import Chat, Example, Message, Pair
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.speakers import role_of
from affina.data.turns import conversation

REPLIES = ("replies", "children", "risposte")
TEXT = ("text", "content", "value", "message", "testo")
ROLE = ("role", "from", "speaker", "author", "ruolo")


class Tree(Shape):
    """A conversation from the root to each last reply of the assistant, or pairs of ranked replies to one message.

    Messages that are marked as deleted, or say nothing, end a branch.
    """

    prompt: str = "prompt"
    """The column of the root; empty where the row itself is the root."""
    replies: str = "replies"
    """The key of a message's replies, a list of messages."""
    text: str = "text"
    """The key of what a message says."""
    role: str = "role"
    """The key of who says it."""
    rank: str = "rank"
    """The key of a reply's rank among those beside it: the lowest is the best, one without a rank the last."""
    give: Literal["best", "all", "pairs"] = "best"
    """Conversations along the best replies alone, all conversations, or pairs of a better and a worse reply."""

    @property
    def makes(self) -> type[Example]:  # type: ignore[override]
        """Pairs where they are asked for, else conversations."""
        return Pair if self.give == "pairs" else Chat

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """A column of messages with replies of the same keys, or rows that are such messages."""
        found = columns.usual(records)
        roots = {name: values for name, values in found.items() if all(isinstance(each, Mapping) for each in values)}
        rows = [record.values for record in records if isinstance(record.values, Mapping)]
        for prompt, values in (*roots.items(), ("", rows if found else [])):
            keys = _keys(values)
            if keys is not None:
                told = f"column '{prompt}' holds" if prompt else "rows are"
                why = f"tree: {told} messages with '{keys[0]}', the best-ranked replies are followed (`give: best`)"
                return Tree(prompt=prompt, replies=keys[0], text=keys[1], role=keys[2]), why
        return None

    def example(self, record: Record) -> Example:
        """The first one. Raises Unusable for a tree without a reply of the assistant, or without ranked ones."""
        return next(self.examples(record))

    def examples(self, record: Record) -> Iterator[Example]:
        """Every conversation, or every pair, in the tree's order. Raises Unusable where there is none."""
        given = columns.value(record, self.prompt) if self.prompt else columns.row(record)
        try:
            root = self._grown(given)
            found = list(self._told(record.where, root)) if root else []
        except RecursionError as error:
            raise Unusable("replies are nested too deeply") from error
        if not found:
            wanted = "two ranked replies to one message" if self.give == "pairs" else "reply of the assistant"
            raise Unusable(f"the tree holds no {wanted}")
        yield from found

    def _told(self, where: str, root: _Node) -> Iterator[Example]:
        if self.give == "pairs":
            return _pairs(where, root, ())
        return (conversation(where, path) for path in _paths(root, ()))

    def uses(self, columns: Collection[str]) -> set[str]:
        """The root's column; of rows that are roots, the keys."""
        return {self.prompt} & set(columns) if self.prompt else super().uses(columns)

    def _grown(self, given: Any) -> _Node | None:
        """The message with its replies, as far as they are followed; None where nothing is said."""
        if not isinstance(given, Mapping):
            return None
        said, role, rank = given.get(self.text), role_of(given.get(self.role)), given.get(self.rank)
        if not isinstance(said, str) or not said.strip() or not role or given.get("deleted") is True:
            return None
        listed = given.get(self.replies)
        grown = [node for each in (listed if isinstance(listed, list) else ()) if (node := self._grown(each))]
        spoken = [node for node in grown if node.message.role == "assistant"]
        if self.give == "best" and spoken:
            best = min(spoken, key=lambda node: node.rank)
            grown = [node for node in grown if node is best or node.message.role != "assistant"]
        ranked = isinstance(rank, (int, float)) and not isinstance(rank, bool)
        return _Node(Message(role, said), float(rank) if ranked else math.inf, tuple(grown))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Node:
    """A message, its rank, and its replies."""

    message: Message
    rank: float
    replies: tuple[_Node, ...]
    answered: bool = field(init=False)
    """Whether the assistant speaks here or further on."""

    def __post_init__(self) -> None:
        spoken = self.message.role == "assistant" or any(reply.answered for reply in self.replies)
        object.__setattr__(self, "answered", spoken)


def _paths(node: _Node, before: tuple[Message, ...]) -> Iterator[tuple[Message, ...]]:
    """Each way to a reply of the assistant that no other of its replies follows."""
    path = (*before, node.message)
    onward = [reply for reply in node.replies if reply.answered]
    if node.message.role == "assistant" and not onward:
        yield path
    for reply in onward:
        yield from _paths(reply, path)


def _pairs(where: str, node: _Node, before: tuple[Message, ...]) -> Iterator[Pair]:
    """Every two replies of the assistant to one message that have different ranks."""
    path = (*before, node.message)
    spoken = [reply for reply in node.replies if reply.message.role == "assistant" and math.isfinite(reply.rank)]
    for better, worse in combinations(sorted(spoken, key=lambda reply: reply.rank), 2):
        chosen, rejected = better.message.content, worse.message.content
        if better.rank < worse.rank and chosen.strip() != rejected.strip() and node.message.role != "assistant":
            yield Pair(id=where, messages=path, chosen=chosen, rejected=rejected)
    for reply in node.replies:
        yield from _pairs(where, reply, path)


def _keys(values: Sequence[Mapping[str, Any]]) -> tuple[str, str, str] | None:
    """The keys of replies, text and role that nearly all of these messages have."""
    found = []
    for names in (REPLIES, TEXT, ROLE):
        held = [key for value in values for key in columns.named([str(key) for key in value], names)[:1]]
        if not held or len(held) < columns.USUAL * len(values):
            return None
        found.append(held[0])
    replies, text, role = found
    nested = any(isinstance(reply, Mapping) and text in reply for value in values for reply in value.get(replies) or ())
    return (replies, text, role) if nested else None
