"""Keys and values of what a network has read: a shared run of tokens stored once, each sequence's tail in its slot.

H heads, G groups of heads that share a key, R = H / G heads in a group, D width of a head, B sequences, C the capacity
of a slot in tokens. A token's key lies in one piece: writing it, number by number, into a transposed cache costs more
than the product with the query then gains.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from affina.engine.torch import attention, decode

BLOCK = 32  # keys: a slot's capacity and the width of a step are multiples of it, so that few kernels are made
Pair = tuple[Tensor, Tensor]


@dataclass(eq=False, slots=True)
class Run:
    """Tokens that several prompts share, and per layer their keys and values [G, n, D] once read."""

    depth: int
    tokens: list[int]
    users: int = 0
    """Sequences that still need it."""
    layers: list[Pair] = field(default_factory=list)

    def leave(self) -> None:
        """One user less; what nobody needs is let go."""
        self.users -= 1
        if not self.users:
            self.layers.clear()


class Slots:
    """Per layer the tails of at most `count` sequences: keys and values [count, G, C, D]."""

    def __init__(self, count: int, dtype: torch.dtype, kernels: bool = False) -> None:
        self.count, self.dtype, self.kernels, self.capacity = count, dtype, kernels, BLOCK
        self.layers: list[Pair] = []

    def layer(self, number: int, key: Tensor, value: Tensor) -> Pair:
        """A layer's slots; the first call for a layer tells its sizes."""
        if number == len(self.layers):
            shapes = [(self.count, each.shape[1], self.capacity, each.shape[3]) for each in (key, value)]
            self.layers.append(
                (key.new_zeros(shapes[0], dtype=self.dtype), value.new_zeros(shapes[1], dtype=self.dtype))
            )
        return self.layers[number]

    def reserve(self, tokens: int) -> None:
        """Room for tails of this many tokens; what is stored stays. Grows by half at least."""
        if tokens <= self.capacity:
            return
        held, self.capacity = self.capacity, _blocks(max(tokens, self.capacity * 3 // 2))
        for number, pair in enumerate(self.layers):
            wider = [each.new_zeros(*each.shape[:2], self.capacity, each.shape[3]) for each in pair]
            for old, new in zip(pair, wider, strict=True):
                new[:, :, :held] = old
            self.layers[number] = (wider[0], wider[1])

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copies a tail of this many tokens into another slot."""
        for each in (each for pair in self.layers for each in pair):
            each[target, :, :tokens] = each[source, :, :tokens]

    def copy(self, run: Run, slot: int, start: int) -> None:
        """Puts a run into a slot, from token `start` of the tail on."""
        for pair, read in zip(self.layers, run.layers, strict=True):
            for each, part in zip(pair, read, strict=True):
                each[slot, :, start : start + len(run.tokens)] = part

    @property
    def token_bytes(self) -> int:
        """What one token of one sequence takes, over all layers."""
        return sum(each[0, :, 0].numel() for pair in self.layers for each in pair) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens [start, stop) of a flat batch that is read: the runs they follow, and where their keys go.

    They are the run itself, or they go into `slot` from token `at` of its tail on.
    """

    start: int
    stop: int
    above: tuple[Run, ...]
    run: Run | None = None
    slot: int = 0
    at: int = 0


class Reading:
    """Attention while prompts are read: each stretch sees the runs above it and itself."""

    def __init__(self, slots: Slots, stretches: Sequence[Stretch]) -> None:
        self.slots, self.stretches, self.calls = slots, stretches, 0
        self.hows: list[attention.How] = []
        self._masks: dict[tuple[int, int, int | None], Tensor] = {}

    def attend(self, query: Tensor, key: Tensor, value: Tensor, how: attention.How) -> Tensor:
        """query [1, H, T, D], key [1, G, T, D], value [1, G, T, Dv] → [1, T, H, Dv]; stores keys and values."""
        layer, self.calls = self.calls, self.calls + 1
        self.hows.append(how)
        query, key, value = (each.to(self.slots.dtype) for each in (query, key, value))
        kept_keys, kept_values = self.slots.layer(layer, key, value)
        outputs = []
        for each in self.stretches:
            own_keys, own_values = key[0, :, each.start : each.stop], value[0, :, each.start : each.stop]
            if each.run is not None:
                each.run.layers.append((own_keys.contiguous(), own_values.contiguous()))
            else:
                end = each.at + each.stop - each.start
                kept_keys[each.slot, :, each.at : end], kept_values[each.slot, :, each.at : end] = own_keys, own_values
            keys = torch.cat([*(run.layers[layer][0] for run in each.above), own_keys], 1)
            values = torch.cat([*(run.layers[layer][1] for run in each.above), own_values], 1)
            hidden = self._hidden(each.stop - each.start, keys, how.window)
            outputs.append(attention.attended(query[0, :, each.start : each.stop], keys, values, how, hidden))
        return torch.cat(outputs, 1).transpose(0, 1).contiguous()[None]

    def _hidden(self, queries: int, keys: Tensor, window: int | None) -> Tensor:
        """[Q, K], True where a query must not look: the last Q keys are its own stretch."""
        size = keys.shape[1]
        if (queries, size, window) not in self._masks:
            there = torch.arange(size, device=keys.device)
            here = there[size - queries :, None]
            hidden = there > here
            self._masks[queries, size, window] = hidden if window is None else hidden | (there <= here - window)
        return self._masks[queries, size, window]


@dataclass(frozen=True, slots=True)
class Tail:
    """What a sequence sees: the runs its prompt shares, then `size` tokens of its slot, which stand from `start` on."""

    runs: tuple[Run, ...]
    start: int
    size: int


class Decoding:
    """Attention of one new token each of B sequences, whose tails are the first B slots."""

    def __init__(self, slots: Slots, tails: Sequence[Tail], place: torch.device) -> None:
        slots.reserve(max(tail.size for tail in tails) + 1)
        self.slots, self.calls, self.tails, self.place = slots, 0, tails, place
        self.rows, self.sizes = (
            torch.tensor(each, device=place) for each in (range(len(tails)), [tail.size for tail in tails])
        )
        self.width = _blocks(max(tail.size for tail in tails) + 1)
        self.before = max(tail.start for tail in tails)
        users: dict[Run, list[int]] = {}
        for row, tail in enumerate(tails):
            for run in tail.runs:
                users.setdefault(run, []).append(row)
        self.runs = [(run, self._rows(rows)) for run, rows in users.items()]
        self.seen = decode.Seen(
            [(tail.start, tail.size) for tail in tails],
            [(len(run.tokens), run.depth) for run in users],
            [*users.values()],
        )
        self._masks: dict[int | None, Tensor] = {}

    def attend(self, query: Tensor, key: Tensor, value: Tensor, how: attention.How) -> Tensor:
        """query [1, H, B, D], key [1, G, B, D], value [1, G, B, Dv] → [1, B, H, Dv]; stores keys and values."""
        layer, self.calls = self.calls, self.calls + 1
        dtype = self.slots.dtype
        all_keys, all_values = self.slots.layer(layer, key, value)
        if self.slots.kernels and decode.takes(query, key, value, dtype):
            new = query[0].transpose(0, 1), key[0].transpose(0, 1), value[0].transpose(0, 1)
            runs = [run.layers[layer] for run, _ in self.runs]
            return self.seen.attend(new, (all_keys, all_values), runs, how)[None]
        all_keys[self.rows, :, self.sizes] = key[0].transpose(0, 1).to(dtype)
        all_values[self.rows, :, self.sizes] = value[0].transpose(0, 1).to(dtype)
        size, groups = len(self.tails), all_keys.shape[1]
        keys, values = (each[:size].flatten(0, 1) for each in (all_keys, all_values))
        query = query if how.scale == 1 else query * how.scale
        query_NRD = query[0].transpose(0, 1).to(dtype).reshape(size * groups, -1, query.shape[-1])  # N = B·G
        scores = torch.bmm(keys[:, : self.width], query_NRD.mT).mT.view(size, groups, -1, self.width)
        if self.runs:
            scores = self._before(query_NRD.view(size, groups, -1, query.shape[-1]), scores, layer)
        if how.softcap is not None:
            scores = attention.capped(scores, how.softcap)
        weights = (scores + self._mask(how.window)).softmax(-1).to(dtype)  # bf16's soft maximum sums in float32
        tail = weights[..., self.before :].reshape(size * groups, -1, self.width)
        mixed = torch.bmm(tail, values[:, : self.width]).view(size, groups, tail.shape[1], -1)
        for run, rows in self.runs:
            part = weights[rows, :, :, run.depth : run.depth + len(run.tokens)].transpose(0, 1)
            added = torch.matmul(part.reshape(groups, -1, part.shape[-1]), run.layers[layer][1])
            mixed[rows] += added.view(*part.shape[:3], -1).transpose(0, 1)
        return mixed.view(1, size, -1, mixed.shape[-1])

    def _before(self, query_BGRD: Tensor, tail: Tensor, layer: int) -> Tensor:
        """The scores of the shared runs, at the columns where they stand in their rows, before those of the tail."""
        size, groups, heads, width = query_BGRD.shape
        scores = tail.new_zeros(size, groups, heads, self.before + self.width)
        scores[..., self.before :] = tail
        for run, rows in self.runs:
            asked = query_BGRD[rows].transpose(0, 1)
            part = torch.matmul(asked.reshape(groups, -1, width), run.layers[layer][0].mT)
            part = part.view(*asked.shape[:3], -1).transpose(0, 1)
            scores[rows, :, :, run.depth : run.depth + len(run.tokens)] = part
        return scores

    def _mask(self, window: int | None) -> Tensor:
        """[B, 1, 1, before + width]: 0 where a sequence has a key it may see, -inf elsewhere."""
        if window not in self._masks:
            starts = torch.tensor([tail.start for tail in self.tails], device=self.place)[:, None]
            before, after = (torch.arange(size, device=self.place)[None] for size in (self.before, self.width))
            hidden = torch.cat([before >= starts, after > self.sizes[:, None]], 1)
            if window is not None:
                distance = torch.cat([starts + self.sizes[:, None] - before, self.sizes[:, None] - after], 1)
                hidden |= distance >= window
            mask = torch.zeros(hidden.shape, dtype=self.slots.dtype, device=self.place)
            self._masks[window] = mask.masked_fill_(hidden, float("-inf"))[:, None, None]
        return self._masks[window]

    def _rows(self, rows: list[int]) -> slice | Tensor:
        """A slice where the rows are neighbours: it reads without a copy."""
        neighbours = rows[-1] - rows[0] + 1 == len(rows)
        return slice(rows[0], rows[-1] + 1) if neighbours else torch.tensor(rows, device=self.place)


@contextmanager
def caching(step: Reading | Decoding) -> Iterator[None]:
    """Attention inside reads and writes the cache as this step says."""
    token = attention.cached.set(step)
    try:
        yield
    finally:
        attention.cached.reset(token)


def _blocks(tokens: int) -> int:
    return -(-tokens // BLOCK) * BLOCK
