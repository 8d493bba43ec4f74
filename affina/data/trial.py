"""The same answers asked for in several ways: how likely a model finds each, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Message
from affina.core.kinds import Floats, Model


def nats(model: Model, forms: Sequence[Sequence[Example]]) -> Floats:
    """[F, N] -log p of every row's last answer in every form: among the row's options where it has any, otherwise over
    the answer's tokens. Rows that are longer than the model takes in any form are left out.

    Raises Refused where none is left.
    """
    chats = [[each for each in form if isinstance(each, Chat)] for form in forms]
    found = np.array([[_right(scores, chat) for scores, chat in _scored(model, form)] for form in chats])
    fitting = ~np.isnan(found).any(axis=0)
    if not fitting.any():
        raise Refused(
            "no validation row fits the model in every format",
            why=f"it takes {model.renderer.max_tokens} tokens",
            instead="raise data.max_tokens, or leave long formats out",
        )
    return np.asarray(found[:, fitting])


def _scored(model: Model, chats: Sequence[Chat]) -> list[tuple[Floats, Chat]]:
    """Of every conversation log p of each option, or of its one answer; nan for what does not fit."""
    put = [_answered(chat, option) for chat in chats for option in _options(chat)]
    rows = model.renderer.rows(put)
    sums = [
        float("nan") if row.cut else float(each.logprobs_S.sum())
        for row, each in zip(rows, model.score(rows), strict=True)
    ]
    edges = np.cumsum([0, *(len(_options(chat)) for chat in chats)])
    return [(np.array(sums[edges[n] : edges[n + 1]]), chat) for n, chat in enumerate(chats)]


def _right(scores: Floats, chat: Chat) -> float:
    right = scores[_options(chat).index(chat.messages[-1].content)]
    most = scores.max()
    return float(most + np.log(np.exp(scores - most).sum()) - right) if chat.options else float(-right)


def _options(chat: Chat) -> tuple[str, ...]:
    return chat.options or (chat.messages[-1].content,)


def _answered(chat: Chat, option: str) -> Chat:
    return replace(chat, messages=(*chat.messages[:-1], Message("assistant", option)))
