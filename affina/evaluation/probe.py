"""A few of a run's own rows for numerical proofs, different in targets, cut where they are long; and what was cut."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from affina.core.kinds import Bench, Ints, Row
from affina.data.compose import units

MOST_TOKENS = 160  # over all rows of a probe: float32 passes over it take about a second on a small base


def probe(bench: Bench, count: int) -> tuple[list[Row], str]:
    """`count` rows (fewer if there are fewer, tied ones counted once), spread over the numbers of targets; and a clause
    on what was cut.

    A long row keeps its beginning and its end: the beginning may be shared, the end has targets.
    """
    held = units(bench.rows)
    order = sorted(range(len(held)), key=lambda place: (held[place][0].targets, place))
    chosen = np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))
    rows = [row for place in chosen for row in held[order[place]]]
    longest = max(8, min(256, MOST_TOKENS // len(rows)))
    cut = [_shortened(row, longest) for row in rows]
    shortened = sum(len(row.tokens) > longest for row in rows)
    said = f"{len(rows)} rows" + (f", {shortened} of them cut to {longest} tokens" if shortened else "")
    return cut, said


def _shortened(row: Row, longest: int) -> Row:
    if row.source is not None and len(row.source) > longest:
        row = replace(row, source=row.source[_ends(len(row.source), longest)])
    return row if len(row.tokens) <= longest else row.kept(_ends(len(row.tokens), longest))


def _ends(size: int, longest: int) -> Ints:
    half = longest // 2
    found: Ints = np.r_[0:half, size - (longest - half) : size]
    return found


def spans(row: Row) -> list[tuple[int, int]]:
    """The runs [start, stop) of supervised tokens."""
    edges = np.flatnonzero(np.diff(np.r_[0, (row.weights != 0).astype(int), 0]))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def sampled(rows: Sequence[Row], count: int, seed: int) -> list[int]:
    """Places of up to `count` rows, drawn by the seed, in order."""
    if len(rows) <= count:
        return list(range(len(rows)))
    return sorted(np.random.default_rng(seed).choice(len(rows), count, replace=False).tolist())
