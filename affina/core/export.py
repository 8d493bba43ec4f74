"""What an export is: a tuned model written in another program's format, and opened again as that program serves it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from affina.core.part import Part


@dataclass(frozen=True)
class Exportable:
    """A finished run, ready to be written."""

    base: Path
    """The local folder of the base: config, tokenizer, weights."""
    tuned: Path
    """What the run's tuning wrote: an adapter in PEFT's format, or a whole model's folder; a new head beside it."""
    merged: Path | None
    """The whole model with what was learnt folded in, in the transformers format; None where that is impossible."""
    not_merged: str = ""
    """Why there is no merged model, in a clause."""
    head: str = "words"
    """What the model ends in: see `Objective.head`."""
    labels: tuple[str, ...] = ()


class Served(Protocol):
    """An exported model in the engine that will serve it."""

    def logits(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """[T, V] for a head of words; [1, L] for a head on the whole row; [T, L] for one on every token."""

    def greedy(self, tokens: Sequence[int], most: int, stops: frozenset[int]) -> list[int]:
        """The likeliest continuation, at most so many tokens, without the stop token."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far an export may part from the run it came from; None: not asked."""

    logits: float | None = None
    """Largest absolute difference of two logits."""
    kl: float | None = None
    """Mean KL(run ‖ export) per token, nats."""
    greedy: int | None = None
    """Answers generated greedily that must be equal, token by token."""


class Export(Part):
    """One format. Writing and opening are two functions, so that parity is shown on what stands on the disk."""

    bounds: ClassVar[Bounds]
    merges: ClassVar[bool] = True
    """Whether it is written from the merged model; False: from the base and what was tuned."""
    engine: ClassVar[str]
    """What opens it, as people know it: "transformers", "llama.cpp", "onnxruntime"."""

    def objection(self, config: dict[str, Any], source: Exportable) -> str:
        """Why this base cannot be written so, in a sentence; empty where it can. `config` is its config.json."""
        return ""

    @abstractmethod
    def write(self, source: Exportable, folder: Path) -> None:
        """Writes into an empty folder. Raises Refused for what the format cannot hold, Failed where the disk fails."""

    @abstractmethod
    def open(self, folder: Path) -> Served:
        """What `write` wrote, in the engine that will serve it. Raises Refused where that engine is not installed."""
