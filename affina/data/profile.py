"""What a set of examples is like, and whether two sets differ by more than chance: labels, lengths, words, slices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import heappush, heappushpop
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from affina.core.example import Example, Labelled, MultiLabelled, Rated
from affina.data.made import draw
from affina.data.texts import texts

Counts = npt.NDArray[np.int64]
SAMPLE = 3000
"""Texts whose words are compared, drawn by content."""
WORDS = 2000
"""The commonest words of two samples, whose shares are compared; all others count as one."""
BINS = 10
"""Parts of equally many rows that a range of numbers is cut into."""
VALUES = 200
"""Different values from which a column is no longer one of slices."""
PERMUTATIONS = 999
WORD = re.compile(r"\w+(?:[’'](?=\w))?")


class Compared(NamedTuple):
    """How far two sets are apart in one respect, and how often chance alone is as far."""

    psi: float
    """The population stability index: Σ (p - q) ln(p / q); 0.1 is usually called small, 0.25 large."""
    js: float
    """The Jensen–Shannon divergence in bits: 0 for equal shares, 1 for none in common."""
    p: float
    """Of random divisions of all rows into two such sets, the share that is as far apart (permutation test)."""


class Profile:
    """What is kept of a set of examples: counts and a sample of words, whatever its size."""

    def __init__(self, facts: Iterable[str] = (), seed: int = 0) -> None:
        self.rows, self.seed = 0, seed
        self.labels: Counter[str] = Counter()
        self.slices: dict[str, Counter[str]] = {name: Counter() for name in facts}
        self.words: list[int] = []
        """Of each row its length in words."""
        self.values: list[float] = []
        """Of each rated row its number."""
        self._sample: list[tuple[int, int, Counter[str]]] = []

    def add(self, example: Example) -> None:
        """One more example."""
        if isinstance(example, Labelled | MultiLabelled):
            self.labels[example.target] += 1
        if isinstance(example, Rated):
            self.values.append(example.value)
        for name, counts in self.slices.items():
            counts[example.facts.get(name, "")] += 1
        self.add_text("\n".join(texts(example)), draw(example, self.seed, "profile"))

    def add_text(self, text: str, lot: int) -> None:
        """One more text; those of the lowest lots have their words compared."""
        found = WORD.findall(text.casefold())
        self.words.append(len(found))
        entry = (-lot, -self.rows, Counter(found))
        self.rows += 1
        if len(self._sample) < SAMPLE:
            heappush(self._sample, entry)
        elif entry > self._sample[0]:
            heappushpop(self._sample, entry)

    @property
    def sample(self) -> list[Counter[str]]:
        """The words of the texts drawn, in the order they came."""
        return [words for _, _, words in sorted(self._sample, key=lambda entry: -entry[1])]

    def told(self) -> dict[str, Any]:
        """The profile as plain data; of a label or a slice the rows."""
        spread = np.quantile(self.words, [0, 0.25, 0.5, 0.75, 0.95, 1]).tolist() if self.words else []
        vocabulary = Counter[str]()
        for words in self.sample:
            vocabulary.update(words)
        return {
            "rows": self.rows,
            "labels": dict(self.labels.most_common()),
            "words": dict(zip(("least", "quarter", "half", "three_quarters", "p95", "most"), spread, strict=False)),
            "vocabulary": {"texts": len(self._sample), "running": vocabulary.total(), "different": len(vocabulary)},
            "slices": {name: dict(counts.most_common(VALUES)) for name, counts in self.slices.items()},
        }


def compared(one: Profile, two: Profile, seed: int = 0) -> dict[str, Compared]:
    """How far two sets are apart in every respect that both have, by name: `label`, `value`, `words` (how many),
    `vocabulary` (which), and each column of slices."""
    found: dict[str, Compared] = {}
    sliced = {name: (counts, two.slices[name]) for name, counts in one.slices.items() if name in two.slices}
    for name, (first, second) in {"label": (one.labels, two.labels), **sliced}.items():
        if first and second and len({*first, *second}) <= VALUES:
            found[name] = counted(*_aligned(first, second), seed)
    for name, numbers, others in (("value", one.values, two.values), ("words", one.words, two.words)):
        if numbers and others:
            found[name] = counted(*_binned(numbers, others), seed)
    if one.rows and two.rows:
        found["vocabulary"] = _vocabulary(one.sample, two.sample, seed)
    return found


def unseen(one: Profile, two: Profile) -> float:
    """The share of the second sample's running words that the first one's sample does not have."""
    known = {word for words in one.sample for word in words}
    total = sum(words.total() for words in two.sample)
    return sum(times for words in two.sample for word, times in words.items() if word not in known) / max(total, 1)


def counted(first_L: Counts, second_L: Counts, seed: int) -> Compared:
    """Two sets of rows by how many fall under each of L values."""
    draws = np.random.default_rng(seed)
    pooled_L = first_L + second_L
    drawn_RL = draws.multivariate_hypergeometric(pooled_L, int(first_L.sum()), PERMUTATIONS, method="marginals")
    apart_R = divergence(drawn_RL, pooled_L - drawn_RL)
    js = float(divergence(first_L, second_L))
    return Compared(stability(first_L, second_L), js, _chance(js, apart_R))


def divergence(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The Jensen–Shannon divergence in bits of counts along the last axis."""
    p, q = (each / np.maximum(each.sum(axis=-1, keepdims=True), 1) for each in (first, second))
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(each > 0, each * np.log2(each / middle), 0.0).sum(axis=-1) for each in (p, q)]
    return np.asarray(np.maximum((parts[0] + parts[1]) / 2, 0.0))


def stability(first_L: Counts, second_L: Counts) -> float:
    """The population stability index of two sets of counts, half a row added to each so that none is empty."""
    p, q = ((each + 0.5) / (each + 0.5).sum() for each in (first_L, second_L))
    return float(((p - q) * np.log(p / q)).sum())


def _chance(apart: float, drawn_R: npt.NDArray[np.float64]) -> float:
    return float((1 + np.count_nonzero(drawn_R >= apart - 1e-12)) / (1 + len(drawn_R)))


def _aligned(first: Mapping[str, int], second: Mapping[str, int]) -> tuple[Counts, Counts]:
    names = sorted({*first, *second})
    return np.array([first.get(name, 0) for name in names]), np.array([second.get(name, 0) for name in names])


def _binned(first: list[Any], second: list[Any]) -> tuple[Counts, Counts]:
    """Rows in parts of the joint range; equal numbers are together."""
    edges = np.unique(np.quantile([*first, *second], [part / BINS for part in range(1, BINS)]))
    places = [np.searchsorted(edges, each, side="right") for each in (first, second)]
    one, two = (np.bincount(each, minlength=len(edges) + 1) for each in places)
    return one, two


def _vocabulary(first: list[Counter[str]], second: list[Counter[str]], seed: int) -> Compared:
    """Whole texts change sides in the permutations: the words of one text are no independent draws."""
    from scipy.sparse import csr_matrix

    total = Counter[str]()
    for words in (*first, *second):
        total.update(words)
    place = {
        word: number
        for number, (word, _) in enumerate(sorted(total.items(), key=lambda each: (-each[1], each[0]))[:WORDS])
    }
    cells = [
        (row, place.get(word, len(place)), times)
        for row, words in enumerate((*first, *second))
        for word, times in words.items()
    ]
    rows, columns, times = (
        (np.array(each, dtype=np.int64) for each in zip(*cells, strict=True)) if cells else ([], [], [])
    )
    texts_NV = csr_matrix((times, (rows, columns)), shape=(len(first) + len(second), len(place) + 1))
    all_V = np.asarray(texts_NV.sum(axis=0)).ravel()
    draws = np.random.default_rng(seed)
    sides_RN = np.zeros((PERMUTATIONS + 1, texts_NV.shape[0]), np.int32)
    sides_RN[0, : len(first)] = 1
    for side_N in sides_RN[1:]:
        side_N[draws.permutation(len(side_N))[: len(first)]] = 1
    first_RV = np.asarray((texts_NV.T @ sides_RN.T).T)
    apart_R = divergence(first_RV, all_V - first_RV)
    psi = stability(first_RV[0], all_V - first_RV[0])
    return Compared(psi, float(apart_R[0]), _chance(float(apart_R[0]), apart_R[1:]))
