"""Groups of rows dealt to splits so that labels keep their shares: iterative stratification (Sechidis et al. 2011)."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

BINS = 10
"""The most parts that a range of numbers is cut into."""
LEAST = 10
"""Groups in such a part, so that a tenth of it is one."""


def dealt(groups: Sequence[Sequence[Sequence[str]]], shares: Mapping[str, float]) -> list[str]:
    """The split of each group, in order; a group is the label sets of rows that stay together. Shares add up to 1.

    The rarest label that is left is dealt first, each of its groups to the split that lacks most rows with it; on a tie
    to the one that lacks most rows, then to the first. Groups without a label come last.
    """
    sizes = [len(rows) for rows in groups]
    held = [Counter(label for row in rows for label in row) for rows in groups]
    total = Counter[str]()
    for counts in held:
        total.update(counts)
    rows_left = {split: share * sum(sizes) for split, share in shares.items()}
    left = {split: {label: share * times for label, times in total.items()} for split, share in shares.items()}
    waiting: dict[str, list[int]] = {}
    for group, counts in enumerate(held):
        for label in counts or {"": 0}:
            waiting.setdefault(label, []).append(group)
    chosen = [""] * len(groups)
    while total:
        rarest = min(total, key=lambda label: (total[label], label))
        for group in waiting[rarest]:
            if not chosen[group]:
                split = max(shares, key=lambda name: (left[name][rarest], rows_left[name]))
                chosen[group] = split
                rows_left[split] -= sizes[group]
                for label, times in held[group].items():
                    left[split][label] -= times
                    total[label] -= times
        del total[rarest]
    for group in waiting.get("", []):
        chosen[group] = max(shares, key=rows_left.__getitem__)
        rows_left[chosen[group]] -= sizes[group]
    return chosen


def binned(values: Sequence[float]) -> list[str]:
    """For each number the part of the range it falls in: parts of about equally many, equal numbers together."""
    bins = min(BINS, len(values) // LEAST)
    if bins < 2:
        return [""] * len(values)
    edges = np.unique(np.quantile(values, [part / bins for part in range(1, bins)]))
    return [str(part) for part in np.searchsorted(edges, values, side="right").tolist()]
