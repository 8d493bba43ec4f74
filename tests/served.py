"""Folders to export from without a run, and a runner that says something else than it should."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.core.export import Exportable
from affina.engine.torch import library


def merged(folder: Path, **more: Any) -> Exportable:
    """A base's own folder as what a run's merge would be."""
    return Exportable(folder, folder, folder, **more)


def plainly(folder: Path) -> library.LibraryModel:
    """What the transformers library says of the folder."""
    return library.whole(folder)


def some_tokens(size: int, count: int = 24, seed: int = 0) -> list[int]:
    """Tokens that are no special ones."""
    return [int(each) for each in np.random.default_rng(seed).integers(5, size, count)]


@dataclass
class Otherwise:
    """Says what another says, but for what is put in its place."""

    of: Any
    more: float = 0.0
    """Added to one logit of the last token."""
    answer: list[int] | None = None
    rendered: str | None = None
    encoded: list[int] | None = None

    def logits(
        self, tokens: Sequence[int], source: Sequence[int] = (), types: Sequence[int] = ()
    ) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self.of.logits(tokens, source, types).copy()
        found[-1, 3] += self.more
        return found

    def greedy(self, tokens: Sequence[int], most: int, stops: frozenset[int]) -> list[int]:
        return self.of.greedy(tokens, most, stops) if self.answer is None else self.answer

    def answers(self, prompts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        return [self.greedy(each, most, frozenset({1})) for each in prompts]

    def render(self, messages: Sequence[Any], tools: Sequence[Any] = ()) -> str:
        return self.of.render(messages, tools) if self.rendered is None else self.rendered

    def tokens(self, text: str) -> list[int]:
        return self.of.tokens(text) if self.encoded is None else self.encoded


def settings(folder: Path, name: str, **changes: Any) -> None:
    """Changes a JSON file of a folder."""
    path = folder / name
    plain = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**plain, **changes}), encoding="utf-8")
