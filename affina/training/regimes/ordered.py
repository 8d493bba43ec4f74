"""Training rows in the order they stand in, easiest first: all of them in turn, or a share that grows."""

from collections.abc import Iterator, Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from affina.core.kinds import Batch, Ints, Model, Regime, Row
from affina.data.compose import divided, units

if TYPE_CHECKING:
    from affina.core.recipe import Train

GROWING, GROWN, DRAWS = 2, 3, 4  # streams of their own


class Ordered(Regime):
    """Rows as a transform has put them in order (`curriculum`): the first are shown first.

    `growing` is competence-based (Platanios et al. 2019): step t of the growth draws its batch evenly from the first
    c(t) of the rows, c(t)² rising evenly from start² to 1; then every row is shown once per epoch, shuffled.
    """

    shuffles: ClassVar[bool] = False

    pace: Literal["growing", "given"] = "growing"
    """`given`: every epoch goes through all rows as they stand."""
    start: float = Field(0.1, gt=0, le=1)
    """The share of rows that the first step draws from; never less than a batch."""
    until: float = Field(0.5, gt=0, le=1)
    """The share of all steps after which every row is in play."""
    share: bool = True
    """Compute a prefix that rows of a batch share once (exact; but dropout inside it is drawn once for all of them)."""

    def batches(self, rows: Sequence[Row], model: Model, train: "Train", start: int) -> Iterator[Batch]:
        """Micro-batches from number `start` on."""
        held = units(rows)
        number = start
        known: tuple[int, Ints] = (-1, np.zeros(0, np.int64))
        while True:
            step, part = divmod(number, train.accumulate)
            if known[0] != step:
                known = step, self._chosen(len(held), train, step)
            members = [row for place in known[1] for row in held[place]]
            if any(row.cloze is not None for row in members):
                draws = np.random.default_rng((train.seed, step, DRAWS))
                members = [model.renderer.drawn(row, draws) for row in members]
            yield model.layout(divided(members, train.accumulate)[part], share=self.share)
            number += 1

    def _chosen(self, count: int, train: "Train", step: int) -> Ints:
        """The places of a step's rows: a function of the seed and the step alone."""
        per_epoch = train.steps_per_epoch(count)
        if self.pace == "given":
            first = step % per_epoch * train.batch
            return np.arange(first, min(first + train.batch, count))
        growing = ceil(self.until * train.total_steps(count))
        if step < growing:
            competence = sqrt(step / growing * (1 - self.start**2) + self.start**2)
            eligible = min(count, max(train.batch, ceil(competence * count)))
            draws = np.random.default_rng((train.seed, step, GROWING))
            return draws.choice(eligible, min(train.batch, eligible), replace=False)
        epoch, place = divmod(step - growing, per_epoch)
        order = np.random.default_rng((train.seed, epoch, GROWN)).permutation(count)
        return order[place * train.batch :][: train.batch]
