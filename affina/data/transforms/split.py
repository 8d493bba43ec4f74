"""Training, validation and test: near-duplicates on one side, classes in proportion, decided by seed and content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from statistics import mean
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from affina.core.example import Chat, Example, Labelled, MultiLabelled, Pair, Rated
from affina.core.kinds import Desk, Transform
from affina.data import stratify
from affina.data.near import clusters


class _Cluster(NamedTuple):
    """Examples that stay together: their places in the list, and the order they are dealt in."""

    order: bytes
    places: list[int]


class Split(Transform):
    """Deals clusters of near-duplicates into three splits, class by class; ratings part by part of their range, and
    sets of classes so that each class keeps its share.

    The deal depends on the seed and on what the rows say, not on their order or their file. A class of three clusters
    or more has a row in every split; one of two has none in validation; a single cluster goes to training.
    """

    test: float = Field(0.2, gt=0, lt=1)
    """The share of rows kept for the final measurement."""
    validation: float = Field(0.1, gt=0, lt=1)
    """The share of rows that early stopping watches."""
    by: Literal["label", "none"] = "label"
    """Keep the proportions of classes and ratings in every split, where rows have them; or deal all rows alike."""
    near: float = Field(0.8, gt=0, le=1)
    """The similarity (Jaccard, of sets of 5 characters) from which two texts may not be in different splits. Case and
    white space do not count, nor does a prompt that makes up most of a typical text."""

    @model_validator(mode="after")
    def _some_left(self) -> Self:
        if self.test + self.validation >= 1:
            raise ValueError(f"test ({self.test}) and validation ({self.validation}) leave nothing to train on")
        return self

    def apply(self, given: Collection[Example], desk: Desk) -> list[Example]:
        """The same examples in the same order, each with its split."""
        examples = list(given)
        groups: dict[int, list[int]] = {}
        for place, cluster in enumerate(clusters(list(map(_compared, examples)), self.near)):
            groups.setdefault(cluster, []).append(place)
        found = []
        for places in groups.values():
            found.append(_Cluster(min(_order(examples[place], desk.seed) for place in places), places))
        chosen = [""] * len(examples)
        for split, dealt in self._assigned(examples, found):
            for place in dealt.places:
                chosen[place] = split
        return [replace(example, split=split) for example, split in zip(examples, chosen, strict=True)]

    def _assigned(self, examples: Sequence[Example], found: list[_Cluster]) -> Iterator[tuple[str, _Cluster]]:
        """Every cluster with its split."""
        members = [[examples[place] for place in cluster.places] for cluster in found]
        sets = [[each.right for each in held if isinstance(each, MultiLabelled)] for held in members]
        if self.by == "label" and any(sets):
            yield from self._by_sets(found, sets)
            return
        strata: dict[str, list[_Cluster]] = {}
        for cluster, stratum in zip(found, self._strata(members), strict=True):
            strata.setdefault(stratum, []).append(cluster)
        for held in strata.values():
            for split, dealt in self._deal(held).items():
                yield from ((split, cluster) for cluster in dealt)

    def _by_sets(
        self, found: list[_Cluster], sets: Sequence[Sequence[Sequence[str]]]
    ) -> Iterator[tuple[str, _Cluster]]:
        order = sorted(range(len(found)), key=lambda at: found[at].order)
        shares = {"train": 1 - self.test - self.validation, "test": self.test, "validation": self.validation}
        splits = stratify.dealt([sets[at] for at in order], shares)
        yield from ((split, found[at]) for split, at in zip(splits, order, strict=True))

    def _strata(self, members: Sequence[Sequence[Example]]) -> list[str]:
        """For each cluster what it is dealt among: its class, the part of the range its mean is in, or all."""
        if self.by == "none":
            return [""] * len(members)
        means = [mean(each.value for each in held if isinstance(each, Rated)) for held in members if _rated(held)]
        if len(means) == len(members):
            return stratify.binned(means)
        return [_class_of(held) for held in members]

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


def _rated(members: Sequence[Example]) -> bool:
    return all(isinstance(each, Rated) for each in members)


def _class_of(members: Sequence[Example]) -> str:
    """The commonest class; empty where rows have none."""
    if not isinstance(members[0], Labelled):
        return ""
    counts = Counter(example.target for example in members)
    return min(counts, key=lambda label: (-counts[label], label))


def _compared(example: Example) -> str:
    """What a user brings: a conversation's user turns, since a shared system prompt makes no two rows alike."""
    if isinstance(example, (Chat, Pair)):
        asked = "\n".join(message.content for message in example.messages if message.role == "user")
        return asked if asked.strip() else example.target
    return example.given


def _order(example: Example, seed: int) -> bytes:
    content = f"{seed}\0{example.given}\0{example.target}".encode("utf-8", "surrogatepass")
    return blake2b(content, digest_size=16).digest()
