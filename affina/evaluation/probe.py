"""A few of a run's own rows for numerical proofs, different in targets, cut where they are long; and what was cut."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from affina.core.kinds import Bench, Row

MOST_TOKENS = 160  # over all rows of a probe: float32 passes over it take about a second on a small base


def probe(bench: Bench, count: int) -> tuple[list[Row], str]:
    """`count` rows (fewer if there are fewer), spread over the numbers of targets; and a clause on what was cut.

    A long row keeps its beginning and its end: the beginning may be shared, the end has targets.
    """
    order = sorted(range(len(bench.rows)), key=lambda place: (bench.rows[place].targets, place))
    chosen = np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))
    rows = [bench.rows[order[place]] for place in chosen]
    longest = max(8, min(256, MOST_TOKENS // len(rows)))
    cut = [_shortened(row, longest) for row in rows]
    shortened = sum(len(row.tokens) > longest for row in rows)
    said = f"{len(rows)} rows" + (f", {shortened} of them cut to {longest} tokens" if shortened else "")
    return cut, said


def _shortened(row: Row, longest: int) -> Row:
    if len(row.tokens) <= longest:
        return row
    half = longest // 2
    keep = np.r_[0:half, len(row.tokens) - (longest - half) : len(row.tokens)]
    return replace(row, tokens=row.tokens[keep], weights=row.weights[keep])


def spans(row: Row) -> list[tuple[int, int]]:
    """The runs [start, stop) of supervised tokens."""
    edges = np.flatnonzero(np.diff(np.r_[0, (row.weights != 0).astype(int), 0]))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def sampled(rows: Sequence[Row], count: int, seed: int) -> list[int]:
    """Places of up to `count` rows, drawn by the seed, in order."""
    if len(rows) <= count:
        return list(range(len(rows)))
    return sorted(np.random.default_rng(seed).choice(len(rows), count, replace=False).tolist())
