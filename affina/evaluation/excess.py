"""By how much the mean of one column is above that of another: what was trained on beside what was not."""

from __future__ import annotations

from collections.abc import Callable

from affina.core.task import Columns, mean_of


def excess(of: str, above: str) -> Callable[[Columns], float]:
    """Over the items that say something of either; NaN where none says anything of one of them."""
    one, other = mean_of(of), mean_of(above)

    def difference(columns: Columns) -> float:
        return one(columns) - other(columns)

    return difference
