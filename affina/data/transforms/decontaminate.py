"""Runs of words that training rows share with what the model will be measured on (Brown et al. 2020, appendix C)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Pair
from affina.core.kinds import Desk, Transform
from affina.data.loose import loose
from affina.data.shared_runs import Hashes, Reference, words
from affina.data.texts import texts

SHOWN = 5
"""Pairs of rows that the note names."""


class Decontaminate(Transform):
    """Finds training rows that share 13 words in a row with a test or validation row, or with a benchmark's file, and
    drops one side. Of measured texts under 13 words, 8 words count; of those under 8, only the whole text.

    A run of words in many training rows is a common phrase and does not count, nor do system prompts.
    """

    against: tuple[str, ...] = ()
    """Files of benchmarks, of any readable format: every text in them counts. Relative to the recipe's folder."""
    n: int = Field(13, ge=2)
    """Words in a row that make two texts overlap."""
    short: int = Field(8, ge=2)
    """The same where the measured text has fewer than `n` words."""
    often: int = Field(10, ge=1)
    """Training rows beyond which a run of words is a common phrase."""
    action: Literal["drop", "report"] = "drop"
    """Leave one side of an overlap out, or only name it in the report."""
    side: Literal["train", "measured"] = "train"
    """The side that is left out: the training row, or the validation or test row. Where a benchmark is overlapped,
    always the training row."""

    def files(self) -> tuple[str, ...]:
        """The benchmarks."""
        return self.against

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples without the overlapping ones, in order. Raises Refused with nothing to compare with."""
        if len(examples) and not self.against and not any(each.split for each in examples):
            raise Refused(
                "decontaminate has nothing to hold training rows against",
                why="no row has a split yet, and `against` names no file",
                instead="put `split` before `decontaminate`, or name a benchmark's file in `against`",
            )
        sides = [*self._benchmarks(desk), *self._measured(examples)]
        for side in sides:
            side.learn(examples, self.often)
        count, pairs = 0, []
        met: set[str] = set()
        for example in examples:
            hits = [] if _is_measured(example) else [name for side in sides for name in side.hits(example)]
            count += bool(hits)
            pairs += [f"{example.id} and {hits[0]}"] if hits and count <= SHOWN else []
            met.update(hits)
        yield from self._left(examples, desk, sides)
        desk.notes.append(self._told(count, len(met), pairs))

    def _benchmarks(self, desk: Desk) -> Iterator[_Side]:
        if self.against:
            reference, names = Reference(self.n, self.short), []
            for name, text in loose(self.against, desk.folder):
                names.append(name)
                reference.add(words(text))
            yield _Side(reference, names, always_train=True)

    def _measured(self, examples: Collection[Example]) -> Iterator[_Side]:
        reference, names = Reference(self.n, self.short), []
        for example in examples:
            if _is_measured(example):
                names.append(example.id)
                reference.add(_words(example))
        yield _Side(reference, names, always_train=False)

    def _left(self, examples: Collection[Example], desk: Desk, sides: Sequence[_Side]) -> Iterator[Example]:
        reason = f"shares {self.n} words in a row, or all of a short text, with"
        for example in examples:
            if self.action == "drop" and _is_measured(example):
                if self.side == "measured" and any(side.common(example) for side in sides if not side.always_train):
                    desk.books.drop(example, f"{reason} a training row")
                    continue
            elif self.action == "drop":
                guilty = [side for side in sides if side.always_train or self.side == "train"]
                if hits := [name for side in guilty for name in side.hits(example)]:
                    desk.books.drop(example, f"{reason} {hits[0]}, which is measured on")
                    continue
            yield example

    def _told(self, count: int, met: int, pairs: Sequence[str]) -> str:
        found = f"decontaminate: {count} training rows share a run of words with {met} texts that are measured on"
        if not count:
            return found
        what = "they are kept" if self.action == "report" else f"the {self.side} side is dropped"
        return f"{found}: {'; '.join(pairs)}{'; …' if count > len(pairs) else ''}: {what}"


class _Side:
    """Texts that are measured on, by name, and which of their runs training rows share."""

    def __init__(self, reference: Reference, names: Sequence[str], always_train: bool) -> None:
        reference.close()
        self.reference, self.names, self.always_train = reference, names, always_train
        self.times = np.zeros(len(reference.runs), np.int64)
        """Of each run the training rows that have it; 0 for a common phrase."""

    def learn(self, examples: Collection[Example], often: int) -> None:
        for example in examples:
            if not _is_measured(example):
                self.times[self.reference.shared(_words(example))] += 1
        self.times[self.times > often] = 0

    def hits(self, example: Example) -> list[str]:
        """The measured texts that share a run with a training row, each once."""
        places = self.reference.shared(_words(example))
        owners = self.reference.owners[places[self.times[places] > 0]]
        return [self.names[owner] for owner in dict.fromkeys(owners.tolist())]

    def common(self, example: Example) -> bool:
        """Whether a measured example shares a run with a training row."""
        return bool((self.times[self.reference.shared(_words(example))] > 0).any())


def _is_measured(example: Example) -> bool:
    return example.split in ("test", "validation")


def _words(example: Example) -> Hashes:
    """The words of an example, without a conversation's system prompt."""
    if isinstance(example, Chat | Pair):
        said = [turn.content for turn in example.messages if turn.role != "system"]
        said += [example.chosen] if isinstance(example, Pair) else []
        return words("\n".join(said))
    return words("\n".join(texts(example)))
