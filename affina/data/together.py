"""Groups of examples that may not be parted, as arrays: which belong together, how many, in what order to deal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from affina.core.example import Chat, Example, Pair
from affina.data.bits import bits
from affina.data.minhash import Hashes, Indices, first_of_equal
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
                found, np.fromiter((bits(each.origin or each.id) for each in examples), "u8", len(examples))
            )
        if column:
            found = _united(found, np.fromiter((bits(_value(each, column)) for each in examples), "u8", len(examples)))
        _, which = np.unique(found, return_inverse=True)
        sizes = np.bincount(which) if len(which) else np.zeros(0, np.int64)
        least = np.full(len(sizes), np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(least, which, np.fromiter((_order(each, seed) for each in examples), np.uint64, len(examples)))
        order = np.empty(len(sizes), np.int64)
        order[np.argsort(least, kind="stable")] = np.arange(len(sizes))
        return cls(which.astype(np.int64), sizes.astype(np.int64), order)

    def commonest(self, code_N: Indices) -> Indices:
        """Of each group the code that most of its examples have; on a tie the least. [G]"""
        codes = int(code_N.max(initial=0)) + 1
        pairs, times = np.unique(self.which_N * codes + code_N, return_counts=True)
        best = np.lexsort((pairs % codes, -times, pairs // codes))
        _, first = np.unique(pairs[best] // codes, return_index=True)
        chosen: Indices = pairs[best][first] % codes
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

    own, shared = (first_of_equal(np.asarray(each, np.uint64)) for each in (first_N, value_N))
    return joined(own, np.stack([np.arange(len(own)), shared]))


def _order(example: Example, seed: int) -> int:
    content = f"{seed}\0{example.given}\0{example.target}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(content, digest_size=16).digest()[:8], "big")
