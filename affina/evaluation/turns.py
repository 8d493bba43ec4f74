"""The last answer of a conversation: what it is, another in its place, and what a model says instead."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Chat
from affina.core.kinds import Asked, Model
from affina.evaluation.asking import known, scored, unscored

LIKELIHOODS = frozenset({"nats", "words", "chances"})
"""The columns that need log-probabilities."""


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
    """-log p of what was answered; of no token where the model gives no log-probabilities and none are wanted."""
    if unscored(model) and not asked.columns & LIKELIHOODS:
        nothing_N = np.zeros(len(chats))
        return Answers(ids=tuple(chat.id for chat in chats), nats_N=nothing_N, tokens_N=nothing_N)
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


def chosen(model: Model, chats: Sequence[Chat], asked: Asked) -> Answers:
    """The option that each generated answer names, for a model that gives no log-probabilities; -1 where it names none
    or several. Raises Refused, naming the example, where its right answer is none of its options."""
    for chat in chats:
        known(last_answer(chat)[1], chat.options, chat.id)
    found = by_target(model, chats, asked)
    found = spoken(model, chats, found, replace(asked, columns=asked.columns | {"text"}))
    labels = tuple(sorted({option for chat in chats for option in chat.options}))
    code = {label: place for place, label in enumerate(labels)}
    said = [_named(text, chat.options) for text, chat in zip(found.said or (), chats, strict=True)]
    return replace(
        found,
        labels=labels,
        target_N=np.array([code[last_answer(chat)[1]] for chat in chats], dtype=np.int64),
        predicted_N=np.array([code.get(each, -1) for each in said], dtype=np.int64),
    )


def _named(said: str, options: Sequence[str]) -> str:
    """The option that an answer is, or the only one in it that stands by itself; empty where there is none."""
    bare = said.strip().strip(".!\"'`*").casefold()
    if same := [option for option in options if option.strip().casefold() == bare]:
        return same[0]
    inside = [
        option for option in options if re.search(rf"(?<!\w){re.escape(option.strip())}(?!\w)", said, re.IGNORECASE)
    ]
    longest = [option for option in inside if not any(option != other and option in other for other in inside)]
    return longest[0] if len(longest) == 1 else ""
