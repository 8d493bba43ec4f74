"""The frozen trunk: what the lowest blocks, in which nothing learns, hand on is computed once per row and kept.

Blocks of the trunk then answer with kept states, so that positions, layer types and all that stands around the blocks
stay as they are. What the trunk hands on is rounded to the dtype of products, kept or not. A row's states come from a
fixed group of the run's rows: no bit of them depends on which batch asked first.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from affina.core.kinds import Batch, Row
from affina.data.layout import layout, neighbours
from affina.engine.torch.attention import Runs, runs_of
from affina.engine.torch.machine import device
from affina.engine.torch.states import States, Store

if TYPE_CHECKING:
    from affina.engine.torch.load import Network

GROUP_TOKENS = 2048  # whole tokens of the rows computed together; part of what the states' bits depend on


class Trunk:
    """The lowest `depth` blocks of a network. Of each forward pass they are computed, or answer with given states; or
    they alone are computed, for their states."""

    def __init__(self, depth: int = 0, *notes: str) -> None:
        self.depth, self.notes = depth, notes
        self.store: Store | None = None
        self._rows: Grouped | None = None
        self._given: Tensor | None = None
        self._taken: States | None = None
        self._taking = False

    def instead(self, place: int, hidden: Tensor) -> Tensor | None:
        """What the block at `place` answers without being computed; None where it is to be computed."""
        if self._given is not None and place < self.depth:
            return self._given
        return hidden if self._taking and place >= self.depth else None

    def passed(self, place: int, out: Any, dtype: torch.dtype) -> Any:
        """What a computed block hands on: the trunk's last one rounds it to the dtype of products."""
        if place != self.depth - 1:
            return out
        rounded: Tensor = out.to(dtype)
        if self._taking:
            self._taken = States(rounded[0].cpu(), out.dtype)
        return rounded.to(out.dtype)

    def keep(self, store: Store, rows: Sequence[Row], share: bool) -> None:
        """From now on states are kept in `store`: of `rows`, in whatever batches they come, and of batches that are
        said to come again. `share`: whether a prefix that rows share is computed once."""
        self.store, self._rows = store, Grouped(rows, share)

    @contextmanager
    def lent(self, network: "Network", batch: Batch, again: bool) -> Iterator[None]:
        """Inside, a forward pass of this batch gets the states that are kept of it; those that are not yet there are
        computed first, where the rows are known or the same batch will come `again`."""
        found = None
        if self.store is not None:
            scored = partial(self._of, network, digest(batch), lambda: batch, spare=True)
            found = scored() if again else self._gathered(network, batch)
        with self.giving(found):
            yield

    @contextmanager
    def giving(self, states: States | None) -> Iterator[None]:
        """Inside, the trunk answers with these states; with None it is computed."""
        if states is not None:  # a copy: what is kept must not change where a block writes in place
            self._given = states.flat_TD[:].to(device(), states.wide, copy=True)[None]
        try:
            yield
        finally:
            self._given = None

    def computed(self, network: "Network", batch: Batch) -> States:
        """What the trunk hands on for this batch; the blocks above it are not run."""
        autocast = torch.autocast(  # weights are not kept cast: they would have no gradient afterwards
            device().type, torch.bfloat16, enabled=network.precision == "bf16", cache_enabled=False
        )
        self._taking = True
        try:
            with torch.no_grad(), autocast:
                network.forest(batch)
            assert self._taken is not None, "a trunk has at least one block"
            return self._taken
        finally:
            self._taking, self._taken = False, None

    def _of(self, network: "Network", content: str, batch: Callable[[], Batch], spare: bool) -> States:
        assert self.store is not None
        key = f"{network.precision}-{content}"
        held = self.store.get(key, spare)
        if held is None:
            held = self.computed(network, batch())
            self.store.put(key, held, spare)
        return held

    def _gathered(self, network: "Network", batch: Batch) -> States | None:
        """Every segment's states from the group of a row that passes through it; None where a row is not known."""
        assert self._rows is not None
        paths = paths_of(batch)
        places = [self._rows.place([batch.tokens_T[start:stop] for start, stop in runs]) for runs in paths]
        known = [each for each in places if each is not None]
        if len(known) < len(paths):
            return None
        groups = {
            number: self._of(network, self._rows.digest(number), partial(self._rows.batch, number), spare=False)
            for number in sorted({n for n, _ in known})
        }
        pieces: dict[int, list[Tensor]] = {}
        for runs, (number, row) in zip(paths, known, strict=True):
            own, depth = self._rows.runs(number)[row], 0
            for start, stop in runs:
                if start not in pieces:
                    within = between(own, depth, depth + stop - start)
                    pieces[start] = [groups[number].flat_TD[low:high] for low, high in within]
                depth += stop - start
        wide = groups[known[0][0]].wide
        return States(torch.cat([piece for start in sorted(pieces) for piece in pieces[start]]), wide)


class Grouped:
    """Rows in groups of neighbours, each group a batch of its own, laid out when it is first asked for."""

    def __init__(self, rows: Sequence[Row], share: bool) -> None:
        self.share = share
        self._groups = [[rows[place] for place in group] for group in neighbours(rows, GROUP_TOKENS)]
        self._places: dict[bytes, tuple[int, int]] = {}
        for number, group in enumerate(self._groups):
            for place, row in enumerate(group):
                self._places.setdefault(_content([row.tokens]), (number, place))
        self._laid: dict[int, tuple[str, list[Runs]]] = {}

    def place(self, tokens: Sequence[Any]) -> tuple[int, int] | None:
        """The group of the row of these tokens, given in parts, and its place there; None for a row not known."""
        return self._places.get(_content(tokens))

    def batch(self, number: int) -> Batch:
        """A group as its states are computed."""
        return layout(self._groups[number], self.share)

    def digest(self, number: int) -> str:
        """What a group's states are found by."""
        return self._looked(number)[0]

    def runs(self, number: int) -> list[Runs]:
        """Where the tokens of each row of a group stand in its batch."""
        return self._looked(number)[1]

    def _looked(self, number: int) -> tuple[str, list[Runs]]:
        if number not in self._laid:
            batch = self.batch(number)
            self._laid[number] = digest(batch), paths_of(batch)
        return self._laid[number]


def paths_of(batch: Batch) -> list[Runs]:
    """Where each row's tokens stand in a flat batch, first to last."""
    runs = runs_of(batch.segments)
    starts = [segment.start for segment in batch.segments]
    return [runs[leaf] for leaf in np.searchsorted(starts, batch.ends_R, side="right") - 1]


def between(runs: Runs, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The part of a row's runs that holds its tokens [first, last)."""
    depth = 0
    for start, stop in runs:
        low, high = max(first - depth, 0), min(last - depth, stop - start)
        if low < high:
            yield start + low, start + high
        depth += stop - start


def digest(batch: Batch) -> str:
    """The same for the same tokens in the same segments."""
    segments = np.array([(each.start, each.stop, each.parent) for each in batch.segments], np.int64)
    made = hashlib.sha256(segments.tobytes())
    made.update(batch.tokens_T.tobytes())
    return made.hexdigest()


def _content(tokens: Sequence[Any]) -> bytes:
    made = hashlib.blake2b(digest_size=16)
    for part in tokens:
        made.update(part.astype(np.int32).tobytes())
    return made.digest()
