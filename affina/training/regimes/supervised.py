"""Every training row once per epoch, in an order that is a function of the seed and the epoch."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from affina.core.kinds import Batch, Ints, Model, Regime, Row
from affina.data.compose import composed, divided, units

if TYPE_CHECKING:
    from affina.core.recipe import Train


DRAWS = 1  # a stream of its own: gaps are no function of how batches are composed


class Supervised(Regime):
    """Rows of the training split, each once per epoch, in a seeded order; an epoch's last batch may be smaller."""

    share: bool = True
    """Compute a prefix that rows of a batch share once (exact; but dropout inside it is drawn once for all of them)."""
    window: int = Field(64, ge=0)
    """How many batches of the shuffle are looked at together to let rows that share a prefix meet; 0: none, a plain
    shuffle. No row moves further than this many steps."""

    def batches(self, rows: Sequence[Row], model: Model, train: "Train", start: int) -> Iterator[Batch]:
        """Micro-batches from number `start` on. An epoch costs one permutation, a window of it one look at its rows."""
        tied = len(rows) > 1 and rows[1].tied  # of examples that are several rows, the first is so too
        held_together = units(rows) if tied else None
        count = len(rows) if held_together is None else len(held_together)
        per_epoch = train.steps_per_epoch(count)
        window = self.window if self.window > 1 and self.share and model.shares and not tied else 1
        known: tuple[int, int] | None = None
        number = start
        while True:
            step, part = divmod(number, train.accumulate)
            epoch, place = divmod(step, per_epoch)
            if known is None or known[0] != epoch:
                order = np.random.default_rng((train.seed, epoch)).permutation(count)
            if known != (epoch, place // window):
                known = epoch, place // window
                held = self._window(rows, order, known, window * train.batch, train)
            first = place % window * train.batch
            chosen = held[first : first + train.batch]
            members = [rows[r] for r in chosen]
            if held_together is not None:
                members = [row for r in chosen for row in held_together[r]]
            if any(row.cloze is not None for row in members):
                draws = np.random.default_rng((train.seed, epoch, place, DRAWS))
                members = [model.renderer.drawn(row, draws) for row in members]
            yield model.layout(divided(members, train.accumulate)[part], share=self.share)
            number += 1

    def _window(self, rows: Sequence[Row], order: Ints, which: tuple[int, int], size: int, train: "Train") -> Ints:
        """The rows of one window of an epoch's order, by place, composed to share where it holds several batches."""
        epoch, number = which
        held = order[number * size :][:size]
        if size == train.batch:
            return held
        draws = np.random.default_rng((train.seed, epoch, number))
        return held[composed([rows[r] for r in held], train.batch, draws)]
