"""A model's answers to the items of an evaluation, as columns: what metrics read and paired tests compare.

N items · L labels. A column that a task does not have is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Texts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """Columns of N items; `labels` and whatever has no item's place are the same for all."""

    ids: Texts
    nats_N: Floats
    """-log p of the item's target."""
    tokens_N: Floats
    """Supervised tokens of the target (1 for a head of labels)."""
    labels: Texts = ()
    target_N: Ints | None = None
    predicted_N: Ints | None = None
    """Index of the right and of the likeliest label in `labels`; -1 for an answer outside the known labels."""
    chances_NL: Floats | None = None
    """The probability of every label."""
    truth_NL: Ints | None = None
    """1 for every label that is right, where several may be."""
    expected: Texts | None = None
    said: Texts | None = None
    """The text that was right and the text that was generated or found."""
    references: tuple[Texts, ...] | None = None
    """All texts that are right, the expected one first."""
    value_N: Floats | None = None
    guess_N: Floats | None = None
    """The number that was right and the number that was given."""
    tags: tuple[Texts, ...] | None = None
    guessed: tuple[Texts, ...] | None = None
    """The tags of the item's words, right and given."""
    margin_N: Floats | None = None
    """By how much the right one of two scores above the wrong one."""
    rank_N: Ints | None = None
    """The place of the right one among all candidates, 1 the first."""

    def __len__(self) -> int:
        return len(self.ids)

    def worded(self, n: int) -> str:
        """What was answered to item n, for people to read; empty where an answer has no words."""
        if self.said is not None:
            return self.said[n]
        if self.guessed is not None:
            return " ".join(self.guessed[n])
        if self.truth_NL is not None and self.chances_NL is not None:
            return ", ".join(
                name for name, chance in zip(self.labels, self.chances_NL[n], strict=True) if chance >= 0.5
            )
        if self.predicted_N is not None:
            return self.labels[self.predicted_N[n]] if self.predicted_N[n] >= 0 else ""
        for column in (self.guess_N, self.margin_N):
            if column is not None:
                return f"{column[n]:.4g}"
        return "" if self.rank_N is None else f"place {self.rank_N[n]}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, columns that are not there left out."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: column.tolist() if isinstance(column, np.ndarray) else _listed(column)
            for name, column in plain.items()
            if column is not None
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Answers:
        """The inverse of `as_dict`."""
        return cls(**{name: _column(name, column) for name, column in plain.items()})

    def take(self, index_N: Ints) -> Answers:
        """The same columns at these items: what a bootstrap resamples."""

        def taken(name: str) -> Any:
            column = getattr(self, name)
            if column is None or name == "labels":
                return column
            return column[index_N] if isinstance(column, np.ndarray) else tuple(column[i] for i in index_N)

        return Answers(**{each.name: taken(each.name) for each in fields(self)})

    def joined(self, other: Answers) -> Answers:
        """Both models' answers in one list, this one's first; a column that either has not is left out."""

        def both(name: str) -> Any:
            one, two = getattr(self, name), getattr(other, name)
            if one is None or two is None or name == "labels":
                return None if one is None or two is None else one
            return np.concatenate([one, two]) if isinstance(one, np.ndarray) else (*one, *two)

        return Answers(**{each.name: both(each.name) for each in fields(self)})


WHOLE = ("target_N", "predicted_N", "truth_NL", "rank_N")


def _column(name: str, plain: Any) -> Any:
    if name.endswith(("_N", "_NL")):
        return np.array(plain, dtype=np.int64 if name in WHOLE else np.float64)
    return tuple(tuple(each) if isinstance(each, list) else each for each in plain)


def _listed(column: Any) -> list[Any]:
    return [list(each) if isinstance(each, tuple) else each for each in column]
