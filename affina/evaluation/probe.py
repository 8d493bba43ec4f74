"""A few of a run's own rows for numerical proofs, different in targets, cut where they are long; and what was cut."""

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from affina.core.kinds import Bench, Ints, Row
from affina.data.compose import units

MOST_TOKENS = 160  # over all rows of a probe: float32 passes over it take about a second on a small base


def probe(bench: Bench, count: int) -> tuple[list[Row], str]:
    """`count` rows (fewer if there are fewer, tied ones counted once), spread over the numbers of targets; and a clause
    on what was cut.

    A long row keeps its beginning, which may be shared, and its end, which has targets; of tied rows, in place of the
    end, what follows from where they part.
    """
    held = units(bench.rows)
    order = sorted(range(len(held)), key=lambda place: (held[place][0].targets, place))
    chosen = np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))
    drawn = [held[order[place]] for place in chosen]
    rows = [row for unit in drawn for row in unit]
    longest = max(8, min(256, MOST_TOKENS // len(drawn)))
    cut = [_shortened(row, longest, _parting(unit)) for unit in drawn for row in unit]
    shortened = sum(len(row.tokens) > longest for row in rows)
    said = f"{len(rows)} rows" + (f", {shortened} of them cut to {longest} tokens" if shortened else "")
    return cut, said


def _shortened(row: Row, longest: int, parting: int) -> Row:
    if row.source is not None and len(row.source) > longest:
        row = replace(row, source=row.source[_ends(len(row.source), longest, parting)])
    return row if len(row.tokens) <= longest else row.kept(_ends(len(row.tokens), longest, parting))


def _ends(size: int, longest: int, parting: int) -> Ints:
    half = longest // 2
    last = min(size - (longest - half), max(half, parting))
    found: Ints = np.r_[0:half, last : last + longest - half]
    return found


def _parting(unit: Sequence[Row]) -> int:
    """How many first tokens tied rows have in common; more than any row has for one alone."""
    if len(unit) == 1:
        return sys.maxsize
    size = min(len(row.tokens) for row in unit)
    differs = np.any([row.tokens[:size] != unit[0].tokens[:size] for row in unit], axis=0)
    return int(differs.argmax()) if differs.any() else size


def spans(row: Row) -> list[tuple[int, int]]:
    """The runs [start, stop) of supervised tokens."""
    edges = np.flatnonzero(np.diff(np.r_[0, (row.weights != 0).astype(int), 0]))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def sampled(rows: Sequence[Row], count: int, seed: int) -> list[int]:
    """Places of up to `count` rows, drawn by the seed, in order."""
    if len(rows) <= count:
        return list(range(len(rows)))
    return sorted(np.random.default_rng(seed).choice(len(rows), count, replace=False).tolist())
