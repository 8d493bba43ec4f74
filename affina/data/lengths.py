"""Lengths of many texts, counted exactly in memory that grows with how many different lengths there are."""

import math
from collections import Counter

SHARES = {"least": 0.0, "low": 0.05, "half": 0.5, "high": 0.95, "most": 1.0}
"""Of the texts, how many are at most so long: the summary's columns."""


class Lengths:
    """How many texts have which length."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def add(self, length: int) -> None:
        self.counts[length] += 1

    def summary(self) -> dict[str, float]:
        """Least, low (5 %), half, high (95 %), most, mean and total. Zeros where there are no texts."""
        total, texts = sum(length * times for length, times in self.counts.items()), self.counts.total()
        found = {name: self.at(share) for name, share in SHARES.items()}
        return {**found, "mean": round(total / texts, 2) if texts else 0.0, "total": total}

    def at(self, share: float) -> int:
        """The least length that this share of the texts does not exceed (inverted distribution, no interpolation)."""
        wanted = max(1, math.ceil(share * self.counts.total()))
        passed = 0
        for length in sorted(self.counts):
            passed += self.counts[length]
            if passed >= wanted:
                return length
        return 0

    def bins(self, most: int) -> list[tuple[int, int, int]]:
        """At most so many bins of equal width, from 0 or near the least length on: start, stop (excluded), texts.

        The width is 1, 2 or 5 times a power of ten. The last bin holds all that is longer than 1.5 times the 99th
        percentile, so that a single giant does not flatten the picture.
        """
        if not self.counts:
            return []
        longest = max(self.counts)
        edge = min(longest, math.ceil(1.5 * self.at(0.99)))
        size = _round_width((edge + 1) / most)
        first = min(self.counts) // size * size
        held: Counter[int] = Counter()
        for length, texts in self.counts.items():
            held[min(length, edge) // size] += texts
        last = edge // size
        places = range(first // size, last + 1)
        return [
            (place * size, (place + 1) * size if place < last else max(longest + 1, (place + 1) * size), held[place])
            for place in places
        ]


def _round_width(raw: float) -> int:
    if raw <= 1:
        return 1
    power = 10 ** math.floor(math.log10(raw))
    return next(int(factor * power) for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
