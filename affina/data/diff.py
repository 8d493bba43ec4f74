"""Two data sets beside each other: which rows stand in one only, which teach something else, and how classes moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.core.example import Example
from affina.core.recipe import Data, Recipe
from affina.data.bits import spaced_bits
from affina.data.classes import labels_of
from affina.data.prepare import read_held

SHOWN = 5
"""Rows that are shown of each kind of difference."""
PAIR = np.dtype([("given", "u8"), ("target", "u8")])


def data_diff(one: str, two: str) -> dict[str, Any]:
    """`rows` of each, `same`, `only` in each, `changed` (the same text with another target), `classes` of each,
    `characters` (quantiles of a text's length) of each, and `examples` of every kind of difference.

    `one` and `two` are files, folders or patterns, or recipes, whose `data.read` is meant; no transform is applied.
    White space does not tell texts apart. Raises Refused for what cannot be read.
    """
    sides = [_Side.of(each) for each in (one, two)]
    alone = [_only(mine, other) for mine, other in (sides, sides[::-1])]
    shown = [_shown(side.examples, lone) for side, lone in zip(sides, alone, strict=True)]
    changed = _changed(*sides)
    return {
        "names": [one, two],
        "rows": [len(side.examples) for side in sides],
        "same": int(np.isin(sides[0].pairs, sides[1].pairs).sum()),
        "only": [int(lone.sum()) for lone in alone],
        "changed": int(changed.sum()),
        "classes": [dict(side.classes.most_common()) for side in sides],
        "characters": [side.characters() for side in sides],
        "examples": {"only": shown, "changed": _beside(sides, changed)},
    }


@dataclass(frozen=True)
class _Side:
    """One data set: its examples, and of each a hash of what is given and of what is taught [N]."""

    examples: Collection[Example]
    pairs: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]
    classes: Counter[str]

    @classmethod
    def of(cls, reference: str) -> _Side:
        path = Path(reference)
        recipe = Recipe.load(path) if path.suffix in (".yaml", ".yml") else None
        data, folder = (recipe.data, recipe.folder) if recipe else (Data(read=[reference]), Path())
        examples = read_held(data, folder)
        pairs = np.fromiter(
            ((spaced_bits(each.given), spaced_bits(each.target)) for each in examples), PAIR, len(examples)
        )
        lengths = np.fromiter((len(each.given) for each in examples), np.int64, len(examples))
        classes = Counter(label for each in examples for label in labels_of(each))
        return cls(examples, pairs, lengths, classes)

    def characters(self) -> dict[str, int]:
        """Quantiles of the texts' lengths."""
        points = {"least": 0, "low": 0.05, "half": 0.5, "high": 0.95, "most": 1}
        return {name: int(np.quantile(self.lengths, at, method="nearest")) for name, at in points.items()}


def _only(mine: _Side, other: _Side) -> npt.NDArray[np.bool_]:
    """Which of my rows [N] have a text that the other has not."""
    return ~np.isin(mine.pairs["given"], other.pairs["given"])


def _changed(one: _Side, two: _Side) -> npt.NDArray[np.bool_]:
    """Which rows of the first [N] have a text that the second has too, and never with this target."""
    return ~_only(one, two) & ~np.isin(one.pairs, two.pairs)


def _shown(examples: Collection[Example], which: npt.NDArray[np.bool_]) -> list[dict[str, str]]:
    places = set(np.flatnonzero(which)[:SHOWN].tolist())
    return [_plain(example) for place, example in enumerate(examples) if place in places]


def _beside(sides: list[_Side], changed: npt.NDArray[np.bool_]) -> list[list[dict[str, str]]]:
    """Rows of the first that are changed, each with the row of the second that has its text."""
    found = []
    for row in _shown(sides[0].examples, changed):
        place = int(np.flatnonzero(sides[1].pairs["given"] == spaced_bits(row["given"]))[0])
        found.append([row, next(_plain(each) for at, each in enumerate(sides[1].examples) if at == place)])
    return found


def _plain(example: Example) -> dict[str, str]:
    return {"id": example.id, "given": example.given, "target": example.target}
