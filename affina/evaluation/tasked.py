"""What a model did with a task as numbers: its statistics with intervals, by slice, and beside another model's."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from affina.core.errors import Refused
from affina.core.kinds import Floats, Ints
from affina.core.task import Columns, Statistic, Task, Tested, together
from affina.evaluation.compare import RESAMPLED, Difference, Found, matched, means
from affina.evaluation.drawn import Drawn, of_items
from affina.evaluation.ideal import folded, nearer
from affina.evaluation.measure import Estimate, is_share
from affina.evaluation.slices import places_of
from affina.evaluation.statistics import (
    around,
    bootstrap,
    bootstrap_interval,
    bootstrap_mean,
    bootstrap_weights,
    detectable,
    exchange_p,
    permutation_p,
    wilson,
)

SILENT = "no item says anything of it"
SMALLEST_SLICE = 2
"""Items below which a group of a slice gets no numbers: one item has no spread."""


def measured(tested: Tested, task: Task, alpha: float, seed: int) -> dict[str, Estimate]:
    """Every statistic of the task by name, with its 1 - alpha interval.

    Wilson's for shares of items, the bootstrap's over items for the rest; n are the items that say something, of
    several columns those of the one that fewest speak to. Raises Refused where there are no items.
    """
    return measuring(tested, task.statistics(), alpha, seed)


def measuring(tested: Tested, statistics: Mapping[str, Statistic], alpha: float, seed: int) -> dict[str, Estimate]:
    """`measured` of these statistics."""
    validate(tested)
    return {name: _estimate(tested, each, alpha, seed) for name, each in statistics.items()}


def sliced(tested: Tested, task: Task, alpha: float, seed: int) -> dict[str, dict[str, dict[str, Estimate]]]:
    """{grouping: {group: {statistic: estimate}}}, for every group of two items or more."""
    found: dict[str, dict[str, dict[str, Estimate]]] = {}
    for grouping, group, part in parts(tested):
        found.setdefault(grouping, {})[group] = measured(part, task, alpha, seed)
    return found


def parts(tested: Tested) -> Iterator[tuple[str, str, Tested]]:
    """(grouping, group, its items) of every slice, groups in order of their names; those of one item are left out."""
    for grouping, groups_N in tested.slices.items():
        for group in sorted(set(groups_N)):
            index_N = places_of(groups_N, group)
            if len(index_N) >= SMALLEST_SLICE:
                yield grouping, group, taken(tested, index_N)


def taken(tested: Tested, index_N: Ints) -> Tested:
    """The same at these items."""
    return replace(
        tested,
        ids=tuple(tested.ids[n] for n in index_N),
        columns={name: column[index_N] for name, column in tested.columns.items()},
        shown=tuple(tested.shown[n] for n in index_N) if tested.shown else (),
        slices={name: tuple(groups[n] for n in index_N) for name, groups in tested.slices.items()},
    )


def differences(a: Tested, b: Tested, task: Task, alpha: float, power: float, seed: int) -> dict[str, Difference]:
    """Every statistic's paired difference b - a by name; of the mean of a column, over the items that both speak to.

    `better` is how much nearer b is to what is ideal, where the statistic has an ideal; 0 where the two stand on either
    side of it and neither is shown to be nearer. Raises Refused when the two were not put to the same items.
    """
    return differing(a, b, task.statistics(), (alpha, power, seed))


def differing(
    a: Tested, b: Tested, statistics: Mapping[str, Statistic], design: tuple[float, float, int]
) -> dict[str, Difference]:
    """`differences` of these statistics; the design is (alpha, power, seed)."""
    a, b = paired(a, b)
    return {name: _difference(a, b, each, design) for name, each in statistics.items()}


def validate(tested: Tested) -> None:
    """Raises Refused for no items."""
    if not len(tested):
        raise Refused("there is nothing to measure", why="no item was answered", instead="give a task that has items")


def paired(a: Tested, b: Tested) -> tuple[Tested, Tested]:
    """Both in the order of a's items. Raises Refused when items or columns differ."""
    validate(a)
    validate(b)
    shared = len(set(a.ids) & set(b.ids))
    if not shared == len(a) == len(b):
        raise Refused(
            "the two models were not put to the same items",
            why=f"{len(a)} and {len(b)} items, {shared} of them shared",
            instead="put both to the same task and data",
        )
    if unlike := set(a.columns) ^ set(b.columns):
        raise Refused(
            "the two models were not put to the same task",
            why=f"only one of them has {', '.join(sorted(unlike))}",
            instead="put both to the same task",
        )
    place = {id: index for index, id in enumerate(b.ids)}
    return a, taken(b, np.array([place[id] for id in a.ids], dtype=np.int64))


def _estimate(tested: Tested, statistic: Statistic, alpha: float, seed: int) -> Estimate:
    if statistic.column:
        return _mean(tested.columns[statistic.column], alpha, seed)
    columns, n, whole = tested.columns, len(tested), _whole(tested)
    value = statistic.value(whole)
    if statistic.totals is not None:
        counts_NC = together(columns, statistic.sums)
        drawn = [statistic.totals(weights_BN @ counts_NC) for weights_BN in bootstrap_weights(n, seed)]
        resampled_B = np.concatenate(drawn)
    else:
        resampled_B = bootstrap(lambda index_N: statistic.value(of_items(columns, index_N)), n, seed)
    known_B, n = resampled_B[np.isfinite(resampled_B)], _speaking(whole)
    if not math.isfinite(value) or 2 * len(known_B) < len(resampled_B):
        return Estimate(value, -math.inf, math.inf, n)
    return Estimate(value, *around(value, known_B, n, alpha), n)


def _mean(column_N: Floats, alpha: float, seed: int) -> Estimate:
    """Of one column, over the items that say something."""
    kept_N = column_N[~np.isnan(column_N)]
    n = len(kept_N)
    if not n:
        return Estimate(math.nan, -math.inf, math.inf, 0)
    value = float(kept_N.mean())
    if is_share(kept_N):
        low, high = wilson(kept_N.sum(), n, alpha)
        return Estimate(value, float(low), float(high), n)
    return Estimate(value, *around(value, bootstrap_mean(kept_N, seed), n, alpha), n)


def _difference(a: Tested, b: Tested, statistic: Statistic, design: tuple[float, float, int]) -> Difference:
    alpha, power, seed = design
    if statistic.column:
        both = np.stack([a.columns[statistic.column], b.columns[statistic.column]])
        one_N, two_N = both[:, ~np.isnan(both).any(axis=0)]
        n = drawn = len(one_N)
        one, two = (of_items({statistic.column: each_N}, np.arange(n)) for each_N in (one_N, two_N))
        shares = is_share(one_N) and is_share(two_N)
        found = matched(one_N, two_N, alpha) if shares and n else means(two_N - one_N, alpha, seed) if n else None
    else:
        one, two, drawn = _whole(a), _whole(b), len(a)
        known = np.isfinite((statistic.value(one), statistic.value(two))).all()
        n = _speaking(one, two)
        found = _resampled(one, two, statistic, drawn, design) if known else None
    if found is None:
        return Difference(math.nan, -math.inf, math.inf, 1.0, math.inf, n, SILENT, math.nan)
    value, low, high, p, se, method = found
    better = value if statistic.higher_is_better else -value
    if statistic.ideal is not None:
        better = nearer(one, two, statistic, (drawn, seed), (n, alpha, 0.0))
    return Difference(value, low, high, p, detectable(se, alpha, power), n, method, better)


def _whole(tested: Tested) -> Drawn:
    """The columns of all items, remembering which of them a statistic reads."""
    return of_items(tested.columns, np.arange(len(tested)))


def _speaking(*whole: Drawn) -> int:
    """On how many items a statistic hangs that has been computed: those of the column read that speaks of fewest."""
    known = [int((~np.isnan(column_N)).sum()) for each in whole for column_N in each.read.values()]
    return min((n for n in known if n), default=0)


def _resampled(a: Drawn, b: Drawn, statistic: Statistic, n: int, design: tuple[float, float, int]) -> Found:
    """Both models' items are drawn together, and exchanged item by item for the test."""
    alpha, _, seed = design
    value = statistic.value(b) - statistic.value(a)
    find = _retaken if statistic.totals is None else _summed
    resampled_B, p = find(a, b, statistic, n, seed)
    known_B = resampled_B[np.isfinite(resampled_B)]
    if 2 * len(known_B) < len(resampled_B):
        return value, -math.inf, math.inf, 1.0, math.inf, RESAMPLED
    # What only counts whole things sees nothing of how near the next change was: where no item changed, one more still
    # could have, as in `compare`.
    counts = all((column % 1 == 0)[~np.isnan(column)].all() for column in (*a.read.values(), *b.read.values()))
    spoken = _speaking(a, b)
    how = spoken, alpha, 1 / (spoken + 2) if counts else 0.0
    low, high, se = bootstrap_interval(value, known_B, *how)
    if statistic.distance_of:
        least, most = folded(a, b, statistic.distance_of, (n, seed), how)
        low, high = min(low, least), max(high, most)
    return value, low, high, p, se, RESAMPLED


def _retaken(a: Columns, b: Columns, statistic: Statistic, n: int, seed: int) -> tuple[Floats, float]:
    """Resampled differences and p, each computed from its own columns."""

    def drawn(index_N: Ints) -> float:
        return statistic.value(of_items(b, index_N)) - statistic.value(of_items(a, index_N))

    def exchanged(exchange_N: npt.NDArray[np.bool_]) -> float:
        one, two = (Drawn(a, _mixed(*pair, exchange_N)) for pair in ((a, b), (b, a)))
        return statistic.value(two) - statistic.value(one)

    return bootstrap(drawn, n, seed), permutation_p(exchanged, n, seed)


def _summed(a: Columns, b: Columns, statistic: Statistic, n: int, seed: int) -> tuple[Floats, float]:
    """The same from sums, many arrangements at once."""
    totals, one_NC, two_NC = statistic.totals, together(a, statistic.sums), together(b, statistic.sums)
    assert totals is not None, "only statistics of sums are computed so"
    drawn = [totals(weights_BN @ two_NC) - totals(weights_BN @ one_NC) for weights_BN in bootstrap_weights(n, seed)]
    moved_NC, one_C, two_C = two_NC - one_NC, one_NC.sum(axis=0), two_NC.sum(axis=0)

    def exchanged(exchange_BN: Floats) -> Floats:
        moved_BC = exchange_BN @ moved_NC
        return totals(two_C - moved_BC) - totals(one_C + moved_BC)

    return np.concatenate(drawn), exchange_p(exchanged, n, seed)


def _mixed(own: Columns, other: Columns, exchange_N: npt.NDArray[np.bool_]) -> Callable[[str], Floats]:
    """One model's columns with the other's at the exchanged items."""
    return lambda name: np.where(exchange_N, other[name], own[name])
