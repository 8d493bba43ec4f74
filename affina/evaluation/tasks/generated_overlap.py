"""How much of what a model writes stands in its training rows, word for word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Chat, Example
from affina.core.kinds import Floats, Ints, Model, Sampling
from affina.core.task import Hall, Statistic, Task, Tested
from affina.data.shared_runs import Hashes, runs, words
from affina.data.texts import texts
from affina.evaluation.going_on import need_past, said_by_words, sampled
from affina.evaluation.items import spread


class GeneratedOverlap(Task):
    """The share of runs of `n` words, in what the model writes for prompts of the test split, that stand in a training
    row too, and the longest common run. The same of the right answers stands beside it: what is common anyway.

    Case and punctuation do not count; a run does not go from one text of a row to another.
    """

    costs: ClassVar[str] = "answers"

    n: int = Field(8, ge=2)
    """Words of a run."""
    prefix: int = Field(32, ge=1)
    """Tokens of a raw text that are given; of a conversation it is all before its last answer."""
    max_tokens: int = Field(96, ge=8)
    """Tokens that are written at most."""
    temperature: float = Field(0.0, ge=0)
    """How freely; at 0 the likeliest token each time."""
    most: int = Field(50, ge=1)
    """Prompts at most, at equal distances."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        """An item is a prompt. Raises Refused for a model without a run."""
        need_past(model, self.name)
        train, test = hall.splits.get("train", ()), said_by_words(spread(list(hall.splits.get("test", ())), self.most))
        if not train or not test:
            raise Refused(
                "there are no training rows to hold against what the model writes",
                why="the task reads the splits of a run whose rows are texts or conversations",
                instead="ask a run",
            )
        asked = [self._asked(model, each) for each in test]
        how = Sampling(max_tokens=self.max_tokens, temperature=self.temperature, seed=hall.seed)
        said = [each.text for each in sampled(model, [prompt for prompt, _ in asked], how, self.name, hall.progress)]
        expected = [right for _, right in asked]
        pool = [words(text) for example in train for text in texts(example)]
        both = [words(text) for text in (*said, *expected)]
        share_M, longest_M = self._shares(both, pool), longest(both, pool)
        half = len(said)
        columns = {
            "overlap": share_M[:half],
            "expected_overlap": share_M[half:],
            "longest": longest_M[:half].astype(np.float64),
            "expected_longest": longest_M[half:].astype(np.float64),
        }
        shown = tuple(
            {"asked": model.renderer.text(prompt), "answered": text, "expected": right, "longest common run": int(run)}
            for (prompt, right), text, run in zip(asked, said, longest_M, strict=False)
        )
        return Tested(tuple(each.id for each in test), columns, shown)

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "overlap": Statistic.mean("overlap", False, unit=f"share of runs of {self.n} words"),
            "longest": Statistic.mean("longest", False, unit="words"),
            "expected_overlap": Statistic.mean("expected_overlap", False, unit="share, of the right answers"),
            "expected_longest": Statistic.mean("expected_longest", False, unit="words, of the right answers"),
        }

    def _asked(self, model: Model, example: Example) -> tuple[list[int], str]:
        """What is given, and what would be right."""
        if isinstance(example, Chat):
            return model.renderer.prompt(example), example.messages[-1].content
        tokens = model.renderer.continued(example.given)
        return tokens[: self.prefix], model.renderer.text(tokens[self.prefix : self.prefix + self.max_tokens])

    def _shares(self, written: Sequence[Hashes], pool: Sequence[Hashes]) -> Floats:
        """Of each text; NaN where it has fewer words than a run."""
        known = _all(runs(each, self.n) for each in pool)
        found = [runs(each, self.n) for each in written]
        return np.array([np.isin(each, known).mean() if len(each) else np.nan for each in found])


def longest(written: Sequence[Hashes], pool: Sequence[Hashes]) -> Ints:
    """Of each text, the words of its longest run that stands in a text of the pool."""
    found = np.zeros(len(written), np.int64)
    alive, n = [*range(len(written))], 1
    while alive:
        known = _all(runs(each, n) for each in pool)
        alive = [place for place in alive if np.isin(runs(written[place], n), known).any()]
        found[alive] = n
        n += 1
    return found


def _all(parts: Iterable[Hashes]) -> Hashes:
    return np.unique(np.concatenate([np.zeros(0, np.uint64), *parts]))
