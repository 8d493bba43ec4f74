"""How much of each data set stands in the training split: in proportion, by temperature, or all alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field

from affina.core.errors import Refused, nearest
from affina.core.example import Example
from affina.core.kinds import Desk, Transform
from affina.data.made import file_of, need_split
from affina.data.resample import resampled, shares, sizes, told


class Mix(Transform):
    """Mixes several data sets (files, or the values of a fact) by repeating training rows or leaving some out.

    Sizes count up to `limit` (Raffel et al. 2020, section 3.5.2). The total is what it was, or `size`.
    """

    how: Literal["proportional", "temperature", "equal"] = "temperature"
    """Rates in proportion to the data sets' sizes, to their power of 1/temperature, or all the same."""
    temperature: float = Field(2.0, ge=1)
    """1 is proportional, large is equal."""
    limit: int | None = Field(None, ge=1)
    """Rows beyond which a data set counts as no larger."""
    weights: dict[str, float] = Field(default={})
    """What the rate of a data set is multiplied by, by its name; 1 where none is given."""
    by: str | None = None
    """The fact that names a row's data set; the file it was read from when left out."""
    size: int | None = Field(None, ge=1)
    """Training rows in all; as many as there are when left out."""
    most: int = Field(20, ge=1)
    """How often one row may stand in the data, itself counted."""

    def reads(self) -> tuple[str, ...]:
        return (self.by,) if self.by else ()

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples in order, copies behind what they copy. Raises Refused for a weight of no data set."""
        need_split(examples, "mix")
        before = Counter(self._set(each) for each in examples if each.split == "train")
        if before and (unknown := [name for name in self.weights if name not in before]):
            raise Refused(f"mix: no data set is called '{unknown[0]}'", instead=nearest(unknown[0], [*before]))
        wanted = sizes(before, self._rates(before), self.size or "same")
        after: Counter[str] = Counter()
        for example in resampled(examples, self._set, wanted, self.most, desk, "mix"):
            after[self._set(example)] += example.split == "train"
            yield example
        desk.notes.append(f"mix: training rows {told(before, after)}")

    def _set(self, example: Example) -> str:
        return example.facts.get(self.by, "") if self.by else file_of(example)

    def _rates(self, counts: Counter[str]) -> dict[str, float]:
        """Each data set's part of the rows."""
        counted = {name: min(count, self.limit or count) for name, count in counts.items()}
        temperature = {"proportional": 1.0, "temperature": self.temperature, "equal": None}[self.how]
        rates = {name: share * self.weights.get(name, 1.0) for name, share in shares(counted, temperature).items()}
        return {name: rate / sum(rates.values()) for name, rate in rates.items()}
