"""Which pieces make words likeliest when each is drawn by itself (unigram; Kudo, 2018): expectation and maximisation
over all divisions of every word, and pruning of what is missed least. Same words, same pieces, to the bit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from affina.core.kinds import Floats, Ints

LONGEST = 16  # characters of a piece
STRETCH = 64  # characters of a word looked at together
SEEDS = 10  # candidates to begin with, per piece wanted
SHRINKING = 0.75  # the share of pieces that a pruning leaves at least
SPARE = 1.1  # pruning stops at so many times what is wanted; the least likely go at the end
PASSES = 2  # of expectation and maximisation between prunings
RARE = 0.5  # a piece expected less often is dropped
FLOOR = 1e-3  # a character's expected count at least, since none is ever dropped


@dataclass(frozen=True)
class Lattices:
    """All divisions of many texts: an edge is a piece between two nodes, a node a place between two characters."""

    firsts_N: Ints
    lasts_N: Ints
    """Each text's first and last node."""
    weights_N: Floats
    starts_E: Ints
    ends_E: Ints
    pieces_E: Ints
    levels_E: Ints
    """The place in its own text that an edge ends at; edges stand in the order of (level, end)."""

    @classmethod
    def of(cls, texts: Mapping[str, float], known: Mapping[str, int], whole: bool) -> "Lattices":
        """`whole`: a text may itself be one of its pieces."""
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        firsts = np.cumsum(lengths + 1) - lengths - 1
        edges = [
            (first + start, first + stop, known[piece], stop)
            for first, text in zip(firsts.tolist(), texts, strict=True)
            for start in range(len(text))
            for stop in range(start + 1, min(start + LONGEST, len(text)) + 1)
            if (piece := text[start:stop]) in known and (whole or stop - start < len(text))
        ]
        starts, ends, pieces, levels = np.array(edges, dtype=np.int64).reshape(-1, 4).T
        order = np.lexsort((starts, ends, levels))
        weights = np.array([*texts.values()], dtype=np.float64)
        return cls(firsts, firsts + lengths, weights, starts[order], ends[order], pieces[order], levels[order])

    def without(self, kept_V: npt.NDArray[np.bool_]) -> "Lattices":
        """The edges of the pieces that are kept, under their next numbers."""
        held, number = kept_V[self.pieces_E], np.cumsum(kept_V) - 1
        edges = {name: getattr(self, name)[held] for name in ("starts_E", "ends_E", "levels_E")}
        return replace(self, **edges, pieces_E=number[self.pieces_E[held]])

    def expected(self, logs_V: Floats) -> Floats:
        """How often each piece is expected, over all divisions."""
        size = int(self.lasts_N[-1]) + 1
        forth, back = np.full(size, -np.inf), np.full(size, -np.inf)
        forth[self.firsts_N], back[self.lasts_N] = 0.0, 0.0
        for part in _runs(self.levels_E):
            _sum_into(forth, self.ends_E[part], forth[self.starts_E[part]] + logs_V[self.pieces_E[part]])
        places = self.levels_E - (self.ends_E - self.starts_E)
        order = np.lexsort((self.starts_E, -places))
        for part in _runs(places[order]):
            at = order[part]
            _sum_into(back, self.starts_E[at], back[self.ends_E[at]] + logs_V[self.pieces_E[at]])
        whole = np.repeat(forth[self.lasts_N] - np.log(self.weights_N), self.lasts_N - self.firsts_N + 1)
        shares = np.exp(forth[self.starts_E] + logs_V[self.pieces_E] + back[self.ends_E] - whole[self.starts_E])
        return np.bincount(self.pieces_E, shares, len(logs_V)).astype(np.float64)

    def likeliest(self, logs_V: Floats) -> tuple[Floats, Ints]:
        """Per text, the log-probability of its likeliest division (-inf: it has none), and per node its last edge."""
        size = int(self.lasts_N[-1]) + 1
        best, last = np.full(size, -np.inf), np.full(size, -1, dtype=np.int64)
        best[self.firsts_N] = 0.0
        for part in _runs(self.levels_E):
            values, ends = best[self.starts_E[part]] + logs_V[self.pieces_E[part]], self.ends_E[part]
            order = np.lexsort((-values, ends))
            chosen = order[np.r_[True, np.diff(ends[order]) != 0]]
            best[ends[chosen]], last[ends[chosen]] = values[chosen], part.start + chosen
        return best[self.lasts_N], last

    def used(self, last: Ints) -> tuple[Ints, Ints]:
        """(text, piece) of every edge of the likeliest divisions."""
        texts, nodes = np.arange(len(self.lasts_N)), self.lasts_N
        found: list[tuple[Ints, Ints]] = []
        while len(texts):
            going = (nodes != self.firsts_N[texts]) & (last[nodes] >= 0)
            texts, edges = texts[going], last[nodes[going]]
            found.append((texts, self.pieces_E[edges]))
            nodes = self.starts_E[edges]
        return np.concatenate([each for each, _ in found]), np.concatenate([each for _, each in found])


def pieces(words: Mapping[str, int], wanted: int) -> list[tuple[str, float]]:
    """At most `wanted` pieces with their log-probabilities, the likeliest first; every character is one of them. Where
    there are more characters than pieces wanted, these alone."""
    words = _stretches(words)
    held, logs = _seeds(words, SEEDS * wanted)
    single = np.array([len(piece) == 1 for piece in held])
    if single.sum() > wanted:
        return [(piece, log) for piece, log in zip(held, logs.tolist(), strict=True) if len(piece) == 1]
    texts = Lattices.of(dict(sorted(words.items())), {piece: number for number, piece in enumerate(held)}, whole=True)
    while True:
        for _ in range(PASSES):
            counts = np.maximum(texts.expected(logs), np.where(single, FLOOR, 0.0))
            texts, held, single, counts = _kept(texts, held, single, counts, (counts >= RARE) | single)
            logs = digamma(counts) - digamma(counts.sum())
        goal = max(round(SPARE * wanted), round(SHRINKING * len(held)))
        if len(held) <= goal:
            break
        texts, held, single, logs = _kept(texts, held, single, logs, _needed(texts, held, logs, goal))
        if len(held) <= round(SPARE * wanted):
            break
    order = sorted(range(len(held)), key=lambda each: (not single[each], -logs[each], held[each]))[:wanted]
    return [(held[each], float(logs[each])) for each in sorted(order, key=lambda each: (-logs[each], held[each]))]


def _kept(
    texts: Lattices, held: Sequence[str], single: npt.NDArray[np.bool_], numbers: Floats, keep: npt.NDArray[np.bool_]
) -> tuple[Lattices, list[str], npt.NDArray[np.bool_], Floats]:
    names = [piece for piece, stays in zip(held, keep, strict=True) if stays]
    return texts.without(keep), names, single[keep], numbers[keep]


def _stretches(words: Mapping[str, int]) -> dict[str, int]:
    """The words, endless ones in parts."""
    found: Counter[str] = Counter()
    for word, times in words.items():
        for start in range(0, len(word), STRETCH):
            found[word[start : start + STRETCH]] += times
    return dict(found)


def _seeds(words: Mapping[str, int], most: int) -> tuple[list[str], Floats]:
    """Every character, and the substrings that cover most of the words; their shares as log-probabilities."""
    counts: Counter[str] = Counter()
    for word, times in words.items():
        for start in range(len(word)):
            for stop in range(start + 1, min(start + LONGEST, len(word)) + 1):
                counts[word[start:stop]] += times
    singles = sorted(piece for piece in counts if len(piece) == 1)
    longer = [piece for piece, times in counts.items() if len(piece) > 1 and times > 1]
    longer.sort(key=lambda piece: (-counts[piece] * len(piece), piece))
    held = [*singles, *longer[: max(0, most - len(singles))]]
    covered = np.array([counts[piece] * len(piece) for piece in held], dtype=np.float64)
    return held, np.log(covered / covered.sum())


def _needed(texts: Lattices, held: Sequence[str], logs: Floats, goal: int) -> npt.NDArray[np.bool_]:
    """The pieces that would be missed most, `goal` of them at most."""
    owners, chosen = texts.used(texts.likeliest(logs)[1])
    freq = np.bincount(chosen, texts.weights_N[owners], len(held))
    known = {piece: number for number, piece in enumerate(held)}
    inner = Lattices.of(dict.fromkeys(held, 1.0), known, whole=False)
    values, last = inner.likeliest(logs)
    total = freq.sum()
    whose, parts = inner.used(last)
    steps = np.bincount(whose, minlength=len(held))
    grown = np.log(total + freq * np.maximum(steps - 1, 0))
    instead = np.bincount(whose, np.log(np.maximum(freq[parts] + freq[whose], FLOOR)) - grown[whose], len(held))
    missed = freq / total * (np.log(np.maximum(freq, FLOOR)) - np.log(total) - instead)
    missed[(freq == 0) | (values > logs)] = -np.inf  # never used, or better said by its parts
    missed[[len(piece) == 1 for piece in held]] = np.inf  # no character goes
    order = sorted(range(len(held)), key=lambda each: (-missed[each], held[each]))
    keep = np.zeros(len(held), dtype=bool)
    keep[order[:goal]] = True
    keep &= missed > -np.inf
    return keep


def _runs(sorted_E: Ints) -> list[slice]:
    """Where equal values stand together."""
    edges = [0, *(np.flatnonzero(np.diff(sorted_E)) + 1).tolist(), len(sorted_E)]
    return [slice(start, stop) for start, stop in pairwise(edges) if stop > start]


def _sum_into(logs: Floats, places: Ints, values: Floats) -> None:
    """logs[place] = log Σ exp(values) of each place; `places` are sorted."""
    begins = np.flatnonzero(np.r_[True, np.diff(places) != 0])
    largest = np.maximum.reduceat(values, begins)
    sizes = np.diff(np.r_[begins, len(values)])
    logs[places[begins]] = largest + np.log(np.add.reduceat(np.exp(values - np.repeat(largest, sizes)), begins))
