"""What tasks share that ask a model to go on from a text: whether it can, its answers, and where an answer stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from affina.core.errors import Failed, Refused
from affina.core.example import Chat, Example, Message, Parallel, Text
from affina.core.kinds import Ints, Model, Progress, Row, Sampled, Sampling, Scored
from affina.evaluation.asking import ROWS_PER_CALL

PROMPTS_PER_CALL = 64
"""Prompts answered in one call: enough for the engine to fill its slots, few enough to show progress."""
_WHY = {
    "": "it ends in no words",
    "both": "it fills gaps and goes on from no text",
    "order": "it says words in a drawn order",
    "source": "it turns one text into another",
}


def need_past(model: Model, task: str) -> None:
    """Raises Refused for a model that does not go on from a text: with a head of labels, masked, encoder–decoder."""
    reads: str = getattr(model, "reads", "past")
    if reads != "past":
        raise Refused(
            f"the task {task} cannot be put to this model",
            why=_WHY[reads],
            instead="choose a model that goes on from a text, or leave the task out",
        )


def answers(
    model: Model, prompts: Sequence[str], how: Sampling, task: str, progress: Progress | None, system: str = ""
) -> list[str]:
    """What the model answers to messages of a person, behind a system prompt where one is given."""
    before = [Message("system", system)] if system else []
    opened = [model.renderer.opening([*before, Message("user", each)]) for each in prompts]
    return [said.text.strip() for said in sampled(model, opened, how, task, progress)]


def sampled(
    model: Model, prompts: Sequence[Sequence[int]], how: Sampling, task: str, progress: Progress | None
) -> list[Sampled]:
    """What the model makes of prompts given as tokens."""
    found: list[Sampled] = []
    for start in range(0, len(prompts), PROMPTS_PER_CALL):
        found += model.sample(prompts[start : start + PROMPTS_PER_CALL], how)
        if progress:
            progress(task, len(found), len(prompts))
    return found


def scored(model: Model, rows: Sequence[Row], task: str, progress: Progress | None) -> list[Scored]:
    """What the model gives every row; neighbours that share a prefix go into one call. Raises Failed where a number of
    it is not finite."""
    found: list[Scored] = []
    for start in range(0, len(rows), ROWS_PER_CALL):
        found += model.score(rows[start : start + ROWS_PER_CALL])
        if progress:
            progress(task, len(found), len(rows))
    need_numbers(rows, found, task)
    return found


def need_numbers(rows: Sequence[Row], found: Sequence[Scored], task: str) -> None:
    """Raises Failed, naming the row, where a model gives what is no finite number: it would count as unlikely."""
    for row, each in zip(rows, found, strict=True):
        if not np.isfinite(each.numbers).all():
            raise Failed(
                f"the task {task} cannot be measured",
                why=f"the model's log-probabilities of {row.id} are no finite numbers",
                instead="lower train.learning_rate, or compute in float32",
            )


def last_run(row: Row) -> Ints:
    """The places of a row's last targets that stand together: its last answer."""
    places = np.flatnonzero(row.weights)
    breaks = np.flatnonzero(np.diff(places) > 1)
    return places[breaks[-1] + 1 :] if breaks.size else places


def said_by_words(examples: Iterable[Example]) -> list[Chat | Text]:
    """Those that such a model learns to say: texts, conversations, and a text with its result as a conversation."""
    found: list[Chat | Text] = []
    for each in examples:
        if isinstance(each, Chat | Text):
            found.append(each)
        elif isinstance(each, Parallel):
            turns = (Message("user", each.source), Message("assistant", each.result))
            found.append(Chat(id=each.id, split=each.split, facts=each.facts, messages=turns))
    return found
