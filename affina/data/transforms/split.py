"""Training, validation and test: near-duplicates on one side, classes in proportion, decided by seed and content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from affina.core.example import Chat, Example, Labelled
from affina.core.kinds import Books, Transform
from affina.data.near import clusters


class _Cluster(NamedTuple):
    """Examples that stay together: their places in the list, and the order they are dealt in."""

    order: bytes
    places: list[int]


class Split(Transform):
    """Deals clusters of near-duplicates into three splits, class by class.

    The deal depends on the seed and on what the rows say, not on their order or their file. A class of three clusters
    or more has a row in every split; one of two has none in validation; a single cluster goes to training.
    """

    test: float = Field(0.2, gt=0, lt=1)
    """The share of rows kept for the final measurement."""
    validation: float = Field(0.1, gt=0, lt=1)
    """The share of rows that early stopping watches."""
    by: Literal["label", "none"] = "label"
    """Keep the proportions of the classes in every split, where rows have a class; or deal all rows alike."""
    near: float = Field(0.8, gt=0, le=1)
    """The similarity (Jaccard, of sets of 5 characters) from which two texts may not be in different splits. Case and
    white space do not count, nor does a prompt that makes up most of a typical text."""

    @model_validator(mode="after")
    def _some_left(self) -> Self:
        if self.test + self.validation >= 1:
            raise ValueError(f"test ({self.test}) and validation ({self.validation}) leave nothing to train on")
        return self

    def apply(self, examples: list[Example], books: Books, seed: int) -> list[Example]:
        """The same examples in the same order, each with its split."""
        groups: dict[int, list[int]] = {}
        for place, cluster in enumerate(clusters(list(map(_compared, examples)), self.near)):
            groups.setdefault(cluster, []).append(place)
        strata: dict[str, list[_Cluster]] = {}
        for places in groups.values():
            members = [examples[place] for place in places]
            order = min(_order(example, seed) for example in members)
            strata.setdefault(self._stratum(members), []).append(_Cluster(order, places))
        chosen = [""] * len(examples)
        for stratum in strata.values():
            for split, dealt in self._deal(stratum).items():
                for held in dealt:
                    for place in held.places:
                        chosen[place] = split
        return [replace(example, split=split) for example, split in zip(examples, chosen, strict=True)]

    def _stratum(self, members: Sequence[Example]) -> str:
        if self.by == "none" or not isinstance(members[0], Labelled):
            return ""
        counts = Counter(example.target for example in members)
        return min(counts, key=lambda label: (-counts[label], label))

    def _deal(self, stratum: list[_Cluster]) -> dict[str, list[_Cluster]]:
        """The largest cluster to training; the others, in their order, to a split that still has room for them."""
        rows = sum(len(cluster.places) for cluster in stratum)
        room = {"test": max(1, round(rows * self.test)), "validation": max(1, round(rows * self.validation))}
        if len(stratum) == 2:
            room["validation"] = 0
        ordered = sorted(stratum, key=lambda cluster: cluster.order)
        largest = max(ordered, key=lambda cluster: len(cluster.places))
        dealt: dict[str, list[_Cluster]] = {"train": [largest], "test": [], "validation": []}
        for cluster in ordered:
            if cluster is not largest:
                split = next((name for name, left in room.items() if left >= len(cluster.places)), "train")
                dealt[split].append(cluster)
                if split in room:
                    room[split] -= len(cluster.places)
        for split in ("test", "validation"):
            if not dealt[split] and len(dealt["train"]) > 1 and room[split]:
                smallest = min(dealt["train"], key=lambda cluster: (len(cluster.places), cluster.order))
                dealt["train"].remove(smallest)
                dealt[split].append(smallest)
        return dealt


def _compared(example: Example) -> str:
    """What a user brings: a conversation's user turns, since a shared system prompt makes no two rows alike."""
    if isinstance(example, Chat):
        asked = "\n".join(message.content for message in example.messages if message.role == "user")
        return asked if asked.strip() else example.target
    return example.given


def _order(example: Example, seed: int) -> bytes:
    content = f"{seed}\0{example.given}\0{example.target}".encode("utf-8", "surrogatepass")
    return blake2b(content, digest_size=16).digest()
