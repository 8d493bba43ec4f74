"""Training, validation and test: near-duplicates on one side, classes in proportion, decided by seed and content."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, MultiLabelled, Rated, Tagged
from affina.core.kinds import Desk, Transform
from affina.data import stratify
from affina.data.classes import labels_of
from affina.data.minhash import Indices
from affina.data.moments import moments
from affina.data.together import Groups

TRAIN, VALIDATION, TEST = range(3)
NAMES = ("train", "validation", "test")


class Split(Transform):
    """Deals clusters of near-duplicates into three splits, class by class; ratings part by part of their range, and
    sets of classes, and sentences by their tags, so that each class and tag keeps its share.

    The deal depends on the seed and on what the rows say, not on their order or their file. A class of three clusters
    or more has a row in every split; one of two has none in validation; a single cluster goes to training.
    """

    test: float = Field(0.2, gt=0, lt=1)
    """The share of rows kept for the final measurement."""
    validation: float = Field(0.1, gt=0, lt=1)
    """The share of rows that early stopping watches."""
    by: Literal["label", "none"] = "label"
    """Keep the proportions of classes and ratings in every split, where rows have them; or deal all rows alike."""
    group: str | None = None
    """A column whose rows with the same value stay in one split: a customer, a patient, a document."""
    time: str | None = None
    """A column of dates or numbers: the latest rows are the test, those before them validation. `by` then says nothing;
    near-duplicates and groups go where their earliest row goes."""
    near: float = Field(0.8, gt=0, le=1)
    """The similarity (Jaccard, of sets of 5 characters) from which two texts may not be in different splits. Case and
    white space do not count, nor does a prompt that makes up most of a typical text."""

    @model_validator(mode="after")
    def _some_left(self) -> Self:
        if self.test + self.validation >= 1:
            raise ValueError(f"test ({self.test}) and validation ({self.validation}) leave nothing to train on")
        return self

    def reads(self) -> tuple[str, ...]:
        """The group's column and the time's."""
        return tuple(filter(None, (self.group, self.time)))

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The same examples in the same order, each with its split. Raises Refused for times that cannot be read."""
        groups = Groups.of(examples, self.near, desk.seed, self.group)
        split_G = self._dealt(examples, groups)
        for example, which in zip(examples, groups.which_N.tolist(), strict=True):
            yield replace(example, split=NAMES[split_G[which]])

    def _dealt(self, examples: Collection[Example], groups: Groups) -> list[int]:
        """The split of each group."""
        if self.time is not None:
            return self._by_time(examples, groups, self.time)
        first = next(iter(examples), None)
        if self.by == "label" and isinstance(first, (MultiLabelled, Tagged)):
            return self._by_sets(examples, groups)
        chosen = [TRAIN] * len(groups.size_G)
        stratum_G = self._strata(examples, groups, first)
        for stratum in np.unique(stratum_G):
            members = np.flatnonzero(stratum_G == stratum)
            ordered = members[np.argsort(groups.order_G[members])]
            for split, group in zip(self._deal(groups.size_G[ordered].tolist()), ordered.tolist(), strict=True):
                chosen[group] = split
        return chosen

    def _strata(self, examples: Collection[Example], groups: Groups, first: Example | None) -> Indices:
        """For each group what it is dealt among: its commonest class, the part of the range its mean is in, or all."""
        if self.by == "label" and isinstance(first, Labelled):
            codes = {label: code for code, label in enumerate(sorted({each.target for each in examples}))}
            return groups.commonest(np.fromiter((codes[each.target] for each in examples), np.int64, len(examples)))
        if self.by == "label" and isinstance(first, Rated):
            values = np.array([each.value for each in examples if isinstance(each, Rated)])
            means = np.bincount(groups.which_N, values) / groups.size_G
            return np.unique(stratify.binned(means.tolist()), return_inverse=True)[1].astype(np.int64)
        return np.zeros(len(groups.size_G), np.int64)

    def _by_sets(self, examples: Collection[Example], groups: Groups) -> list[int]:
        sets: list[list[Sequence[str]]] = [[] for _ in groups.size_G]
        for example, which in zip(examples, groups.which_N.tolist(), strict=True):
            sets[which].append([*dict.fromkeys(labels_of(example))])
        order = np.argsort(groups.order_G).tolist()
        shares = {"train": 1 - self.test - self.validation, "test": self.test, "validation": self.validation}
        chosen = [TRAIN] * len(sets)
        for split, group in zip(stratify.dealt([sets[group] for group in order], shares), order, strict=True):
            chosen[group] = NAMES.index(split)
        return chosen

    def _by_time(self, examples: Collection[Example], groups: Groups, column: str) -> list[int]:
        texts = [example.facts.get(column, "") for example in examples]
        if (missing := sum(not text.strip() for text in texts)) > 0:
            why, instead = f"{missing} rows have none", "fill it, or split without `time`"
            raise Refused(f"the rows cannot be split by the time in column '{column}'", why, instead)
        if not texts:
            return []
        earliest_G = np.full(len(groups.size_G), np.inf)
        np.minimum.at(earliest_G, groups.which_N, moments(texts, column))
        latest_first = np.lexsort((groups.order_G, -earliest_G))
        before = np.cumsum(groups.size_G[latest_first]) - groups.size_G[latest_first]  # rows later than each group
        test = max(1, round(self.test * len(texts)))
        splits = np.where(before < test, TEST, VALIDATION)
        splits[before >= max(test + 1, round((self.test + self.validation) * len(texts)))] = TRAIN
        chosen = np.empty(len(splits), np.int64)
        chosen[latest_first] = splits
        return chosen.tolist()

    def _deal(self, sizes: Sequence[int]) -> list[int]:
        """The largest group to training; the others, in their order, to a split that still has room for them."""
        rows = sum(sizes)
        room = {TEST: max(1, round(rows * self.test)), VALIDATION: max(1, round(rows * self.validation))}
        if len(sizes) == 2:
            room[VALIDATION] = 0
        largest = max(range(len(sizes)), key=lambda place: (sizes[place], -place))
        dealt = [TRAIN] * len(sizes)
        for place, size in enumerate(sizes):
            if place != largest:
                split = next((name for name, left in room.items() if left >= size), TRAIN)
                dealt[place] = split
                if split != TRAIN:
                    room[split] -= size
        for split in (TEST, VALIDATION):
            training = [place for place, each in enumerate(dealt) if each == TRAIN]
            if split not in dealt and len(training) > 1 and room[split]:
                dealt[min(training, key=lambda place: sizes[place])] = split
        return dealt
