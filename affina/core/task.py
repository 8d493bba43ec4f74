"""What a task is: items that any model can be put to, what each answer is worth, and the numbers drawn from that.

One form for banks of questions, forgetting, safety, bias, memorisation, robustness and factuality: two models put to
the same items can be compared by item, whatever is measured.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from affina.core.part import Part

if TYPE_CHECKING:
    from affina.core.example import Example
    from affina.core.kinds import Model, Package, Progress

Columns = Mapping[str, npt.NDArray[np.float64]]
"""[N] numbers of the items by column; NaN where an item says nothing."""


def mean_of(column: str) -> Callable[[Columns], float]:
    """The mean of a column over the items that say something; NaN where none does."""

    def mean(columns: Columns) -> float:
        kept = columns[column][~np.isnan(columns[column])]
        return float(kept.mean()) if len(kept) else float("nan")

    return mean


def together(columns: Columns, sums: str) -> npt.NDArray[np.float64]:
    """[N, C] the columns `sums.0`, `sums.1` …, in order."""
    places = sorted(int(name.removeprefix(f"{sums}.")) for name in columns if name.startswith(f"{sums}."))
    return np.column_stack([columns[f"{sums}.{place}"] for place in places])


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number drawn from the items' columns; a bootstrap calls it with the columns of items drawn again."""

    value: Callable[[Columns], float]
    higher_is_better: bool = True
    ideal: float | None = None
    """Where given, what is best, and both more and less are worse: 50 % for CrowS-Pairs, 0 for a gap."""
    column: str = ""
    """Where it is the mean of one column, that column: paired tests are then exact."""
    unit: str = ""
    """As people read it: "nats per token", "share" …"""
    totals: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]] | None = None
    """Where it depends on the items by sums alone: from sums [B, C] of the columns `sums.0`, `sums.1` … to [B]. Many
    resamples are then computed at once."""
    sums: str = ""
    distance_of: Statistic | None = None
    """Where it is another one's distance from its ideal, that one."""

    @classmethod
    def mean(cls, column: str, higher_is_better: bool = True, ideal: float | None = None, unit: str = "") -> Statistic:
        """The mean of one column."""
        return cls(mean_of(column), higher_is_better, ideal, column, unit)

    @classmethod
    def summed(
        cls,
        sums: str,
        totals: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
        higher_is_better: bool = True,
    ) -> Statistic:
        """A function of sums over items."""

        def value(columns: Columns) -> float:
            return float(totals(together(columns, sums).sum(axis=0, keepdims=True))[0])

        return cls(value, higher_is_better, totals=totals, sums=sums)


@dataclass(frozen=True, slots=True)
class Tested:
    """What a model did with the items of a task, in their order."""

    ids: tuple[str, ...]
    columns: Columns
    shown: tuple[Mapping[str, Any], ...] = ()
    """Of each item what people read: what was asked, answered and expected. Text from the model is not escaped."""
    slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """[N] by the name of a grouping (category, language, length), the group of every item."""
    notes: tuple[str, ...] = ()
    """Sentences for the report: what could not be asked, and what the numbers do not show."""

    def __len__(self) -> int:
        return len(self.ids)


def _closed(reference: str) -> Model:
    from affina.core.kinds import no_model

    return no_model(reference)


@dataclass(frozen=True)
class Hall:
    """What a task is given beside the model."""

    seed: int = 0
    folder: Path = Path()
    """What relative paths in a task's settings are relative to: the recipe's own folder, or that of the task's file."""
    open: Callable[[str], Model] = _closed
    """A second model by its reference: a judge, a model of entailment. Raises Refused for one that cannot be opened."""
    fetch: Callable[[Package], Path] | None = None
    """A local folder with a package's files; None where nothing can be fetched."""
    splits: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    """The run's own examples by split, for tasks about what was trained on; empty for a model without a run."""
    labels: tuple[str, ...] = ()
    """The labels of the model's head, in its order; empty for a model of words."""
    progress: Progress | None = None


class Task(Part):
    """Problems, how a model is asked them, and how the answers are judged. The same items for every model."""

    costs: ClassVar[str] = "scores"
    """What asking takes: "scores" (log-probabilities), "answers" (generation) or "vectors"."""

    @abstractmethod
    def ask(self, model: Model, hall: Hall) -> Tested:
        """The model's answers to every item, judged. Raises Refused for data that are none of this task's, or for a
        model that cannot be asked so."""

    @abstractmethod
    def statistics(self) -> Mapping[str, Statistic]:
        """The numbers that this task gives, by name, the first the one that decides."""
