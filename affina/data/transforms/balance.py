"""Classes brought nearer to each other in the training split, by repeating rows or leaving some out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, MultiLabelled
from affina.core.kinds import Desk, Transform
from affina.data.made import need_split
from affina.data.resample import resampled, shares, sizes, told


class Balance(Transform):
    """Gives every class as many training rows as the others, or more nearly so, by `temperature`.

    A repeated row is a made copy with an id of its own. Sets of classes count as their rarest class. To weigh classes
    in the loss and leave the rows as they are, use `objective.class_weights`.
    """

    how: Literal["over", "under", "same"] = "over"
    """`over`: repeat rows of small classes; `under`: leave out rows of large ones; `same`: both, total unchanged."""
    temperature: float | None = Field(None, ge=1)
    """A class of c rows gets a share in proportion to c^(1/temperature): 1 changes nothing. None: all classes alike."""
    by: str | None = None
    """The fact whose values are balanced in place of classes: a region, a source."""
    most: int = Field(20, ge=1)
    """How often one row may stand in the data, itself counted."""

    def reads(self) -> tuple[str, ...]:
        return (self.by,) if self.by else ()

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples in order, copies behind what they copy. Raises Refused where rows have no class."""
        need_split(examples, "balance")
        rarity = Counter(label for each in examples if isinstance(each, MultiLabelled) for label in each.right)

        def group_of(example: Example) -> str:
            return self._group(example, rarity)

        before = Counter(group_of(each) for each in examples if each.split == "train")
        wanted = sizes(before, shares(before, self.temperature), self.how)
        after: Counter[str] = Counter()
        for example in resampled(examples, group_of, wanted, self.most, desk, "balance"):
            after[group_of(example)] += example.split == "train"
            yield example
        desk.notes.append(f"balance: training rows {told(before, after)}")

    def _group(self, example: Example, rarity: Counter[str]) -> str:
        if self.by:
            return example.facts.get(self.by, "")
        if isinstance(example, Labelled):
            return example.label
        if isinstance(example, MultiLabelled):
            return min(example.right, key=lambda label: (rarity[label], label), default="")
        raise Refused(
            f"balance cannot tell the classes of {type(example).__name__.lower()} examples",
            why="they have no class of their own",
            instead="balance a fact with `by: COLUMN`",
        )
