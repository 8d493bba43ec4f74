"""What an export is: a tuned model written in another program's format, and opened again as that program serves it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from affina.core.part import Part

HEAD = ("head.safetensors", "head.json")
"""A new head beside a model's files: its weight and bias, and its kind and labels."""


@dataclass(frozen=True)
class Exportable:
    """A finished run, ready to be written. Beside its weights each folder has the tokenizer, the chat template as
    training rendered it and, in generation_config.json, the ids that end an answer."""

    base: Path
    """The local folder of the base: config, tokenizer, weights."""
    tuned: Path
    """What the run's tuning wrote: an adapter in PEFT's format, or a whole model's folder; a new head beside it."""
    merged: Path | None
    """The whole model in float32 with what was learnt folded in, in the transformers format, a new head beside it
    (`HEAD`); None where that is impossible."""
    not_merged: str = ""
    """Why there is no merged model, in a sentence."""
    head: str = "words"
    """What the model ends in: see `Objective.head`."""
    reads: str = "past"
    """How a model of words reads: see `Objective.reads`."""
    labels: tuple[str, ...] = ()


class Served(Protocol):
    """A model in the engine that serves it."""

    def logits(
        self, tokens: Sequence[int], source: Sequence[int] = (), types: Sequence[int] = ()
    ) -> npt.NDArray[np.float32]:
        """[T, V] for a head of words, [1, L] for one on the whole row, [T, L] for one on every token, [1, D] for
        a vector. `source` is what an encoder reads before a decoder, `types` which of two texts each token is of."""

    def greedy(self, tokens: Sequence[int], most: int, stops: frozenset[int]) -> list[int]:
        """The likeliest continuation, at most so many tokens, without the stop token; of an encoder–decoder, of what
        its encoder reads."""

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> str:
        """A conversation that awaits an answer, by the artefact's own chat template."""

    def tokens(self, text: str) -> list[int]:
        """The text by the artefact's own tokenizer, special tokens read where they are spelt out and none added."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far an export may part from the run it came from; None: not asked."""

    logits: float | None = None
    """Largest absolute difference of two logits."""
    kl: float | None = None
    """Mean KL(run ‖ export) per token of the answers, nats: where the model is asked."""
    times: float | None = None
    """Mean KL per token of whole rows, as a multiple of the `yardstick`'s; instead of `kl` where there is one."""
    greedy: bool = False
    """Whether every answer generated greedily must be equal, token by token."""


class Export(Part):
    """One format. Writing and opening are two functions, so that parity is shown on what stands on the disk."""

    merges: ClassVar[bool] = True
    """Whether it is written from the merged model; False: from the base and what was tuned."""
    engine: ClassVar[str]
    """What opens it, as people know it: "transformers", "llama.cpp", "onnxruntime"."""

    @property
    @abstractmethod
    def bounds(self) -> Bounds:
        """What parity asks of it."""

    def objection(self, config: Mapping[str, Any], source: Exportable) -> str:
        """Why this base cannot be written so, in a sentence; empty where it can. `config` is its config.json."""
        return ""

    @abstractmethod
    def write(self, source: Exportable, folder: Path) -> None:
        """Writes into an empty folder. Raises Refused for what the format cannot hold; OSError where the disk does."""

    @abstractmethod
    def open(self, folder: Path) -> Served:
        """What `write` wrote, in the engine that will serve it. Raises Refused where that engine is not installed."""

    def yardstick(self, source: Exportable, scratch: Path) -> Served | None:
        """The same model as another quantiser writes it in as many bits, where `bounds.times` is measured by one.
        `scratch` is an empty folder. None where there is none for this model."""
        return None
