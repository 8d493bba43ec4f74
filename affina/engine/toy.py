"""A deterministic engine of bytes and smoothed bigram counts: to test plumbing, never masks, packing or numbers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from affina.core.example import Chat, Example, Labelled, Message, Parallel
from affina.core.kinds import Batch, Ints, Objective, Renderer, Row, Sampled, Sampling, Scored
from affina.data.layout import layout

STOP = 256
VOCABULARY = 257
_SMOOTHING = 0.1


class Bytes:
    """Renders text as UTF-8 bytes, each turn as `role: text` and a stop byte; assistant turns are the targets."""

    stops = frozenset({STOP})

    def __init__(self, max_tokens: int = 1024) -> None:
        self.max_tokens = max_tokens

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        return [row for example in examples for row in self._rows(example)]

    def drawn(self, row: Row, draws: np.random.Generator) -> Row:
        return row

    def prompt(self, example: Chat | Parallel) -> list[int]:
        if isinstance(example, Parallel):
            return self.continued(example.source)
        last = max(place for place, message in enumerate(example.messages) if message.role == "assistant")
        return self.opening(example.messages[:last])

    def continued(self, text: str) -> list[int]:
        return list(text.encode())

    def opening(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> list[int]:
        return [*(token for message in messages for token in _turn(message)[0]), *b"assistant: "]

    def text(self, tokens: Sequence[int]) -> str:
        return bytes(token for token in tokens if token < STOP).decode("utf-8", errors="replace")

    def _rows(self, example: Example) -> Iterator[Row]:
        if isinstance(example, Chat):
            turns = [_turn(message) for message in example.messages]
            yield self._row(example.id, [t for turn in turns for t in turn[0]], [w for turn in turns for w in turn[1]])
        elif isinstance(example, Labelled):
            tokens = [*example.text.encode(), STOP]
            yield self._row(example.id, tokens, [0.0] * len(tokens), example.labels.index(example.label))
        else:
            tokens = [*example.given.encode(), STOP]
            for number, start in enumerate(range(0, len(tokens), self.max_tokens)):
                piece = tokens[start : start + self.max_tokens]
                yield self._row(f"{example.id}#{number}", piece, [0.0] + [1.0] * (len(piece) - 1))

    def _row(self, id: str, tokens: list[int], weights: list[float], label: int = -1) -> Row:
        lost = weights[self.max_tokens :]
        kept = np.array(tokens[: self.max_tokens], np.int32), np.array(weights[: self.max_tokens], np.float32)
        return Row(id, *kept, label=label, cut=len(lost), cut_targets=int(np.count_nonzero(lost)))


class Toy:
    """A Model that learns, saves and loads; a label is guessed from how often it was seen. It has no gradients."""

    def __init__(self, max_tokens: int = 1024, labels: int = 0) -> None:
        self.renderer: Renderer = Bytes(max_tokens)
        self.pairs_VV = np.full((VOCABULARY, VOCABULARY), _SMOOTHING)
        self.labels_L = np.full(labels, _SMOOTHING)

    shares = True

    def layout(self, rows: Sequence[Row], share: bool = True) -> Batch:
        return layout(rows, share)

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        labels_L = np.log(self.labels_L / self.labels_L.sum()) if self.labels_L.size else None
        return [Scored(self._logprobs(row.tokens, np.flatnonzero(row.weights)), labels_L) for row in rows]

    def fill(self, rows: Sequence[Row]) -> list[Ints]:
        return [self.pairs_VV[row.tokens[np.flatnonzero(row.weights) - 1]].argmax(axis=1) for row in rows]

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        draws = np.random.default_rng(how.seed)
        return [self._continue(prompt, how, draws) for prompt in prompts]

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        counts = [np.bincount(np.array([*text.encode(), STOP]), minlength=VOCABULARY) for text in texts]
        return np.array([count / np.linalg.norm(count) for count in counts], np.float32).reshape(-1, VOCABULARY)

    def learn(self, batches: Sequence[Batch], objective: Objective, step: int) -> dict[str, float]:
        """Counts what it is shown; the loss is the one before counting, in nats per target."""
        total, count = 0.0, 0.0
        seen_VV, seen_L = np.zeros_like(self.pairs_VV), np.zeros_like(self.labels_L)
        for batch in batches:
            if objective.head == "labels":
                total -= float(np.log(self.labels_L / self.labels_L.sum())[batch.labels_R].sum())
                count += len(batch.ids)
                np.add.at(seen_L, batch.labels_R, 1.0)
            else:
                before_S = batch.tokens_T[batch.sources_S]
                chances_S = self.pairs_VV[before_S, batch.targets_S] / self.pairs_VV[before_S].sum(axis=1)
                total -= float((np.log(chances_S) * batch.weights_S).sum())
                count += float(batch.weights_S.sum())
                np.add.at(seen_VV, (before_S, batch.targets_S), batch.weights_S)
        self.pairs_VV += seen_VV
        self.labels_L += seen_L
        return {"loss": total / count, "tokens": float(sum(b.tokens for b in batches)), "learning_rate": 1.0}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"pairs": self.pairs_VV, "labels": self.labels_L}, folder / "toy.safetensors")

    def load(self, folder: Path) -> None:
        state = load_file(folder / "toy.safetensors")
        self.pairs_VV, self.labels_L = state["pairs"], state["labels"]

    def _logprobs(self, tokens: npt.NDArray[np.int32], places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        before = tokens[places - 1]
        return np.asarray(np.log(self.pairs_VV[before, tokens[places]] / self.pairs_VV[before].sum(axis=1)))

    def _continue(self, prompt: Sequence[int], how: Sampling, draws: np.random.Generator) -> Sampled:
        tokens: list[int] = []
        last = prompt[-1]
        for _ in range(how.max_tokens):
            chances_V = self.pairs_VV[last] / self.pairs_VV[last].sum()
            last = int(draws.choice(VOCABULARY, p=chances_V)) if how.temperature else int(chances_V.argmax())
            if last == STOP:
                break
            tokens.append(last)
        return Sampled(self.renderer.text(tokens), tuple(tokens), stopped=len(tokens) < how.max_tokens)


def _turn(message: Message) -> tuple[list[int], list[float]]:
    header, said = [*f"{message.role}: ".encode()], [*message.content.encode(), STOP]
    return [*header, *said], [0.0] * len(header) + [float(message.role == "assistant")] * len(said)
