"""Prompts put to a model: opened as tokens, gone on from in one batch, and how likely an answer is behind one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from affina.core.errors import Refused
from affina.core.example import Chat, Message
from affina.core.kinds import Floats, Model, Renderer, Row, Sampled, Sampling
from affina.data.prompt import Prompt


class Put(NamedTuple):
    """A prompt with what fills it."""

    prompt: Prompt
    given: Mapping[str, str]

    def opened(self, renderer: Renderer) -> list[int]:
        """The tokens that a model goes on from: raw text as it stands, turns in the base's own template."""
        turns = self.prompt.filled(self.given)
        return renderer.continued(turns[0].content) if _raw(turns) else renderer.opening(turns)

    def answered(self, renderer: Renderer, answer: str, id: str = "") -> Row:
        """A row whose targets are the answer's tokens. Raises Refused for one longer than the model takes."""
        turns = self.prompt.filled(self.given)
        if _raw(turns):
            row = _continued(renderer, turns[0].content, answer, id)
        else:
            (row,) = renderer.rows([Chat(id=id, messages=(*turns, Message("assistant", answer)))])
        if row.cut or len(row.tokens) > renderer.max_tokens:
            raise _too_long(self.prompt, len(row.tokens) + row.cut, renderer)
        return row


def said(model: Model, asked: Sequence[Put], how: Sampling) -> list[Sampled]:
    """What the model says to each. Raises Refused for a prompt that leaves no room for an answer."""
    opened = [each.opened(model.renderer) for each in asked]
    for put, tokens in zip(asked, opened, strict=True):
        if len(tokens) + how.max_tokens > model.renderer.max_tokens:
            raise _too_long(put.prompt, len(tokens) + how.max_tokens, model.renderer)
    return model.sample(opened, how) if opened else []


def likelihoods(model: Model, asked: Sequence[tuple[Put, str]]) -> Floats:
    """[N] log p in nats of each answer behind its prompt, over the answer's tokens; the same pair is scored once."""
    places: dict[tuple[str, tuple[tuple[str, str], ...], str], int] = {}
    keys = [(put.prompt.name, tuple(sorted(put.given.items())), answer) for put, answer in asked]
    rows: list[Row] = []
    for key, (put, answer) in zip(keys, asked, strict=True):
        if key not in places:
            places[key] = len(rows)
            rows.append(put.answered(model.renderer, answer, str(len(rows))))
    sums = [float(scored.logprobs_S.sum()) for scored in model.score(rows)] if rows else []
    return np.array([sums[places[key]] for key in keys], np.float64)


def _raw(turns: Sequence[Message]) -> bool:
    return len(turns) == 1 and turns[0].role == "text"


def _continued(renderer: Renderer, text: str, answer: str, id: str) -> Row:
    before, tokens = renderer.continued(text), np.array(renderer.continued(text + answer), np.int32)
    same = min(len(before), len(tokens) - 1)
    while same > 1 and before[:same] != tokens[:same].tolist():
        same -= 1
    weights = (np.arange(len(tokens)) >= max(1, same)).astype(np.float32)
    return Row(id, tokens, weights)


def _too_long(prompt: Prompt, size: int, renderer: Renderer) -> Refused:
    return Refused(
        f"the prompt {prompt.reference} is too long for the model",
        why=f"filled and answered it has {size} tokens, and the model takes {renderer.max_tokens}",
        instead="set a smaller budget of tokens for what fills it",
    )
