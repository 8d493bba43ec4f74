"""The last answer of a conversation: what it is, another in its place, and what a model says instead."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Chat
from affina.core.kinds import Asked, Model
from affina.evaluation.asking import scored


def last_answer(chat: Chat) -> tuple[int, str]:
    """Where the last assistant turn stands among the messages, and its text. Raises Refused where there is none."""
    for place in range(len(chat.messages) - 1, -1, -1):
        if chat.messages[place].role == "assistant":
            return place, chat.messages[place].content
    raise Refused("a conversation has no answer", why="no turn of it is the assistant's", where=chat.id)


def with_answer(chat: Chat, option: str, id: str) -> Chat:
    """The same conversation with another last answer."""
    place, _ = last_answer(chat)
    said = replace(chat.messages[place], content=option)
    return replace(chat, id=id, messages=(*chat.messages[:place], said, *chat.messages[place + 1 :]))


def by_target(model: Model, chats: Sequence[Chat], asked: Asked) -> Answers:
    """-log p of what was answered."""
    results = list(scored(model, chats, asked))
    return Answers(
        ids=tuple(row.id for row, _ in results),
        nats_N=np.array([-each.logprobs_S.sum() for _, each in results], dtype=np.float64),
        tokens_N=np.array([row.targets for row, _ in results], dtype=np.float64),
    )


def spoken(model: Model, chats: Sequence[Chat], found: Answers, asked: Asked) -> Answers:
    """With the text that the model gives as each last answer, where texts are asked for."""
    if "text" not in asked.columns:
        return found
    prompts = [model.renderer.prompt(chat) for chat in chats]
    said = tuple(sampled.text for sampled in model.sample(prompts, asked.how))
    return replace(found, expected=tuple(last_answer(chat)[1] for chat in chats), said=said)
