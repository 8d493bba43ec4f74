"""Rows computed together, padded on the right to a common length: for bases whose attention takes no forest."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from affina.core.kinds import Ints, Row, Segment

TOKENS = 4096  # computed at once, padding included: bounds memory, changes no number
ALIKE = 0.75  # a row joins rows at most this much longer: what is padded is at most a quarter
CLOSE = {torch.bfloat16: 6e-2, torch.float32: 1e-4, torch.float64: 1e-4}
"""Of the largest state: how far rows computed together and alone are apart by rounding alone."""

Run = Callable[[torch.Tensor, torch.Tensor | None, Sequence[int]], torch.Tensor]
"""Tokens [B, L], mask [B, L], 1 where a token is a row's own, None where all are, and which rows these are → hidden
states [B, L, D]."""


def hidden(run: Run, tokens_T: torch.Tensor, segments: Sequence[Segment], pad: int, together: bool) -> torch.Tensor:
    """[T, D] hidden states of rows that share nothing, each a segment; one at a time unless `together`."""
    lengths = [segment.stop - segment.start for segment in segments]
    rows = torch.split(tokens_T, lengths)
    found: dict[int, torch.Tensor] = {}
    for group in groups(lengths) if together else ([r] for r in range(len(rows))):
        state_BLD = run(*_padded([rows[r] for r in group], pad), group)
        found.update((r, state_BLD[place, : lengths[r]]) for place, r in enumerate(group))
    return torch.cat([found[r] for r in range(len(rows))])


def groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of rows of similar length, longest first, at most `TOKENS` padded tokens together (one row at least)."""
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda r: -lengths[r]):
        longest = lengths[group[0]] if group else 0
        if group and ((len(group) + 1) * longest > TOKENS or lengths[place] < ALIKE * longest):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _padded(rows: Sequence[torch.Tensor], pad: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    tokens_BL = pad_sequence([*rows], batch_first=True, padding_value=pad)
    if all(len(row) == len(rows[0]) for row in rows):
        return tokens_BL, None
    return tokens_BL, pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)


def types(rows: Sequence[Row]) -> Ints | None:
    """[B, L] which of two texts each token is of, 0 in the padding; None where all are of the first."""
    if all(row.types is None for row in rows):
        return None
    made = np.zeros((len(rows), max(len(row.tokens) for row in rows)), np.int64)
    for at, row in enumerate(rows):
        if row.types is not None:
            made[at, : len(row.types)] = row.types
    return made


@cache
def small() -> tuple[Row, ...]:
    """Three rows of other lengths, with sources and gaps for networks that read these."""
    made = []
    for number, (length, read) in enumerate([(11, 4), (7, 9), (2, 6)]):
        tokens = np.arange(length, dtype=np.int32) % 5 + 1
        orders = np.where(np.arange(length) >= max(1, length - 2), np.arange(length)[::-1], -1).astype(np.int32)
        source = np.arange(read, dtype=np.int32) % 5 + 1
        made.append(Row(f"small:{number}", tokens, np.zeros(length, np.float32), source=source, orders=orders))
    return tuple(made)


@torch.no_grad()
def changes_nothing(run: Run, pad: int, place: torch.device, dtype: torch.dtype) -> bool:
    """Three small rows, together and each alone, agree to rounding; and what stands in the padding does not matter."""
    rows = [torch.from_numpy(row.tokens).long().to(place) for row in small()]
    alone = [run(row[None], None, [r])[0] for r, row in enumerate(rows)]
    together, other = (run(*_padded(rows, filler), range(len(rows))) for filler in (pad, 3))
    most = CLOSE[dtype] * max(float(each.abs().max()) for each in alone)
    return all(
        torch.equal(together[r, : len(row)], other[r, : len(row)])
        and float((together[r, : len(row)] - alone[r]).abs().max()) <= most
        for r, row in enumerate(rows)
    )
