"""Groups of examples that may not be parted, as arrays: which belong together, how many, in what order to deal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain

import numpy as np

from affina.core.example import Chat, Example, Pair
from affina.data.minhash import Hashes, Indices
from affina.data.near import clusters


@dataclass(frozen=True)
class Mapped(Collection[str]):
    """A text of each example, made anew whenever they are gone through."""

    examples: Collection[Example]
    of: Callable[[Example], str]

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[str]:
        return map(self.of, self.examples)

    def __contains__(self, text: object) -> bool:
        return any(each == text for each in self)


@dataclass(frozen=True)
class Groups:
    """Of N examples in G groups: `which_N` the group of each, `size_G`, and `order_G`, the place of each group in the
    order of seed and content, which does not depend on the order of the examples."""

    which_N: Indices
    size_G: Indices
    order_G: Indices

    @classmethod
    def of(cls, examples: Collection[Example], near: float, seed: int, column: str | None = None) -> Groups:
        """Near-duplicates are together, examples with the same value in `column` of their facts, and what was made of
        one row."""
        found = clusters(Mapped(examples, compared), near)
        if any(each.origin for each in examples):
            found = _united(
                found, np.fromiter((_bits(each.origin or each.id) for each in examples), "u8", len(examples))
            )
        if column:
            found = _united(found, np.fromiter((_bits(_value(each, column)) for each in examples), "u8", len(examples)))
        _, which = np.unique(found, return_inverse=True)
        sizes = np.bincount(which) if len(which) else np.zeros(0, np.int64)
        digests = np.fromiter(chain.from_iterable(_order(each, seed) for each in examples), ">u8").reshape(-1, 2)
        by_digest = np.lexsort((digests[:, 1], digests[:, 0], which))
        first = by_digest[np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)[:-1]])] if len(which) else by_digest
        order = np.empty(len(sizes), np.int64)
        order[np.lexsort((digests[first, 1], digests[first, 0]))] = np.arange(len(sizes))
        return cls(which.astype(np.int64), sizes.astype(np.int64), order)

    def commonest(self, code_N: Indices) -> Indices:
        """Of each group the code that most of its examples have; on a tie the least. [G]"""
        pairs, times = np.unique(np.stack([self.which_N, code_N]), axis=1, return_counts=True)
        best = np.lexsort((pairs[1], -times, pairs[0]))
        _, first = np.unique(pairs[0][best], return_index=True)
        chosen: Indices = pairs[1][best][first]
        return chosen


def compared(example: Example) -> str:
    """What a user brings: a conversation's user turns, since a shared system prompt makes no two rows alike."""
    if isinstance(example, (Chat, Pair)):
        asked = "\n".join(message.content for message in example.messages if message.role == "user")
        return asked if asked.strip() else example.target
    return example.given


def _value(example: Example, column: str) -> str:
    """What the example shares with others; one without a value is alone."""
    return example.facts.get(column, "") or f"\0{example.id}"


def _united(first_N: Indices, value_N: Hashes) -> Indices:
    """Groups joined wherever they share a value."""
    from affina.data.sketches import joined  # scipy is not loaded for less

    firsts = [begins[which] for _, begins, which in (np.unique(each, True, True) for each in (first_N, value_N))]
    return joined(firsts[0], np.stack([np.arange(len(first_N)), firsts[1]]))


def _order(example: Example, seed: int) -> tuple[int, int]:
    content = f"{seed}\0{example.given}\0{example.target}".encode("utf-8", "surrogatepass")
    digest = blake2b(content, digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def _bits(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
