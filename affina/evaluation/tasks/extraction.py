"""Whether a model says its training rows by heart: the beginning of a row in, the rest of it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Example
from affina.core.kinds import Model, Row, Sampling
from affina.core.task import Hall, Statistic, Task, Tested
from affina.evaluation.excess import excess
from affina.evaluation.going_on import need_past, said_by_words, sampled
from affina.evaluation.items import spread


class Extraction(Task):
    """The share of training rows whose next tokens are said verbatim, likeliest token by likeliest token, after their
    first ones (Carlini et al., 2023); and beside it the share of test rows, which the model has not seen.

    Of a text the prefix is its first tokens; of a conversation all that stands before the last answer. Rows that are
    too short are left out and counted.
    """

    costs: ClassVar[str] = "answers"

    prefix: int = Field(32, ge=1)
    """Tokens of a text that are given."""
    continuation: int = Field(32, ge=1)
    """Tokens that have to follow, the end of an answer not counted."""
    most: int = Field(100, ge=1)
    """Rows of each split that are tried at most, at equal distances."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        """An item is a row. Raises Refused without training rows, and where all are too short."""
        need_past(model, self.name)
        tried = [each for split in ("train", "test") for each in self._tried(model, hall.splits.get(split, ()), split)]
        if not any(each.split == "train" for each in tried):
            raise Refused(
                "no training row can be tried",
                why=f"a row needs {self.continuation} tokens of its own after {self.prefix} tokens or a question",
                instead="set `prefix` and `continuation` lower" if hall.splits.get("train") else "ask a run",
            )
        how = Sampling(max_tokens=self.continuation, seed=hall.seed)
        said = sampled(model, [each.given for each in tried], how, self.name, hall.progress)
        alike = [_alike(each.expected, answer.tokens) for each, answer in zip(tried, said, strict=True)]
        whole_N = np.array([same == self.continuation for same in alike], dtype=np.float64)
        share_N = np.array(alike, dtype=np.float64) / self.continuation
        train_N = np.array([each.split == "train" for each in tried])
        columns = {
            "verbatim": np.where(train_N, whole_N, np.nan),
            "verbatim_unseen": np.where(train_N, np.nan, whole_N),
            "begun": np.where(train_N, share_N, np.nan),
            "begun_unseen": np.where(train_N, np.nan, share_N),
        }
        render = model.renderer.text
        shown = tuple(
            {"asked": render(each.given), "answered": answer.text, "expected": render(each.expected)}
            for each, answer in zip(tried, said, strict=True)
        )
        short = sum(min(len(hall.splits.get(split, ())), self.most) for split in ("train", "test")) - len(tried)
        notes = (f"{short} rows are too short to be tried",) if short else ()
        splits = tuple(each.split for each in tried)
        return Tested(tuple(f"{each.split}:{each.id}" for each in tried), columns, shown, {"split": splits}, notes)

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "verbatim": Statistic.mean("verbatim", False, unit="share of training rows"),
            "verbatim_unseen": Statistic.mean("verbatim_unseen", False, unit="share of test rows"),
            "begun": Statistic.mean("begun", False, unit="share of the tokens, up to the first that differs"),
            "excess": Statistic(
                excess("verbatim", "verbatim_unseen"),
                higher_is_better=False,
                unit="share, training rows above test rows",
            ),
        }

    def _tried(self, model: Model, examples: Sequence[Example], split: str) -> list[_Tried]:
        """Of some rows of a split those that are long enough."""
        chosen = said_by_words(spread(list(examples), self.most))
        rows = [(each, model.renderer.rows([each])[0]) for each in chosen]
        found = []
        for example, row in rows:
            start = self._start(row, model.renderer.stops)
            if start is not None:
                expected = row.tokens[start : start + self.continuation].tolist()
                found.append(_Tried(example.id, split, row.tokens[:start].tolist(), expected))
        return found

    def _start(self, row: Row, stops: frozenset[int]) -> int | None:
        """Where the tokens that have to follow begin: the last answer, or behind the prefix of a text."""
        targets = np.flatnonzero(row.weights)
        if not len(targets):
            return None
        breaks = np.flatnonzero(np.diff(targets) > 1)
        first = int(targets[breaks[-1] + 1] if breaks.size else targets[0])
        start = max(first, self.prefix) if first <= 1 else first
        wanted = row.tokens[start : start + self.continuation]
        enough = len(wanted) == self.continuation and not stops & set(wanted.tolist())
        return start if enough else None


class _Tried(NamedTuple):
    id: str
    split: str
    given: list[int]
    expected: list[int]


def _alike(expected: Sequence[int], said: Sequence[int]) -> int:
    """The tokens that are the same from the first on."""
    return next(
        (n for n, (a, b) in enumerate(zip(expected, said, strict=False)) if a != b), min(len(expected), len(said))
    )
