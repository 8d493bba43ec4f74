"""Every training row once per epoch, in an order that is a function of the seed and the epoch."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from affina.core.example import Example
from affina.core.kinds import Batch, Model, Objective, Regime, Row

if TYPE_CHECKING:
    from affina.core.recipe import Train


class Supervised(Regime):
    """Rows of the training split, each once per epoch, in a seeded order; an epoch's last batch may be smaller."""

    def batches(
        self, examples: Sequence[Example], objective: Objective, model: Model, train: "Train", start: int
    ) -> Iterator[Batch]:
        rows = model.renderer.rows(objective.expand(examples))
        per_epoch = train.steps_per_epoch(len(rows))
        number = start
        while True:
            step, part = divmod(number, train.accumulate)
            epoch, place = divmod(step, per_epoch)
            order = np.random.default_rng((train.seed, epoch)).permutation(len(rows))
            members = order[place * train.batch : (place + 1) * train.batch]
            yield model.layout(self._part(rows, np.array_split(members, train.accumulate)[part]))
            number += 1

    def _part(self, rows: Sequence[Row], members: "np.typing.NDArray[np.int64]") -> list[Row]:
        return [rows[place] for place in members]
