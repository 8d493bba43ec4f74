"""Models that answer by a rule: what any Model of a third party may be."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.core.kinds import Batch, Ints, Renderer, Row, Sampled, Sampling, Scored
from affina.data.layout import layout
from affina.engine.toy import Bytes, Toy


class Speaker:
    """Says `says(prompt)`; `shares` is True of a model of conversations, False of an encoder–decoder."""

    def __init__(
        self, says: Callable[[str], str], shares: bool, renderer: Any = None, fills: Sequence[int] = ()
    ) -> None:
        self.says, self.shares, self.fills = says, shares, fills
        self.renderer: Renderer = renderer or Bytes(4096)
        self.asked: list[tuple[str, Sampling]] = []

    def layout(self, rows: Sequence[Row], share: bool = True) -> Batch:
        return layout(rows, share)

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        return Toy().score(rows)

    def fill(self, rows: Sequence[Row]) -> list[Ints]:
        return [np.resize(np.array(self.fills), row.targets) for row in rows]

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        texts = [self.renderer.text(prompt) for prompt in prompts]
        self.asked += [(text, how) for text in texts]
        return [Sampled(self.says(text), (), True) for text in texts]

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return Toy().embed(texts)
