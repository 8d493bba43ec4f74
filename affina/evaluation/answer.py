"""Asks a model everything the chosen metrics read about a list of examples, and returns the answers as columns."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice, pairwise

import numpy as np

from affina.core import kinds
from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled
from affina.core.kinds import Answers, Metric, Model, Progress, Row, Sampling, Scored

ROWS_PER_CALL = 1024
"""Rows scored in one call: enough for the engine to share prefixes and fill its batches, few enough to hold."""


def offered(examples: Sequence[Example]) -> frozenset[str]:
    """The columns this task has: "nats" always, "words" of a language head, "label" where answers are a known few,
    "text" where an answer can be generated."""
    return _task(examples)[0]


def usual(examples: Sequence[Example]) -> tuple[str, ...]:
    """What is measured when nobody says: the first decides."""
    return ("accuracy", "f1", "loss") if "label" in offered(examples) else ("loss", "perplexity")


def require(metrics: Sequence[Metric], examples: Sequence[Example]) -> None:
    """Raises Refused for the first metric that this task cannot compute, naming those that it can."""
    columns, gives = _task(examples)
    for metric in metrics:
        if metric.reads not in columns:
            shelf = kinds.metrics
            fit = [name for name in shelf.names() if shelf.find(name).reads in columns]
            raise Refused(
                f"metric {metric.name} reads {metric.reads}, but {gives}",
                instead=f"use {', '.join(fit[:-1])} or {fit[-1]}",
            )


def answer(
    model: Model,
    examples: Sequence[Example],
    columns: frozenset[str],
    how: Sampling,
    progress: Progress | None = None,
) -> Answers:
    """The answers to every example, in order, with the asked columns of {"nats", "words", "label", "text"}.

    Examples are as the objective expands them. With "label", a Chat with options is answered by the option of the
    highest log-probability; without it only the right option is scored. A Text may be several rows: its items are rows.
    Raises Refused, naming the example, when its right answer is not among its options or labels.
    """
    if not examples:
        raise Refused(
            "there is nothing to answer", why="the split has no rows", instead="make it larger in data.transforms"
        )
    labelled = [example for example in examples if isinstance(example, Labelled)]
    choices = [example for example in examples if isinstance(example, Chat) and example.options]
    if len(labelled) == len(examples):
        found = _by_head(model, labelled, progress)
    elif len(choices) == len(examples) and "label" in columns:
        found = _by_option(model, choices, progress)
    else:
        found = _by_target(model, examples, progress)
    if "text" not in columns:
        return found
    chats = [example for example in examples if isinstance(example, Chat)]
    prompts = [model.renderer.prompt(chat) for chat in chats]
    said = tuple(sampled.text for sampled in model.sample(prompts, how))
    return replace(found, expected=tuple(last_answer(chat)[1] for chat in chats), said=said)


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


def _task(examples: Sequence[Example]) -> tuple[frozenset[str], str]:
    """The columns that all examples have, and a clause that says why no others."""
    if all(isinstance(example, Labelled) for example in examples):
        return frozenset({"nats", "label"}), "a label head gives labels"
    if all(isinstance(example, Chat) and example.options for example in examples):
        return frozenset({"nats", "words", "label", "text"}), "a choice among options gives words and labels"
    if all(isinstance(example, Chat) for example in examples):
        return frozenset({"nats", "words", "text"}), "free answers have no fixed set of labels"
    return frozenset({"nats", "words"}), "raw text has neither an answer nor a label, only words"


def _by_head(model: Model, examples: Sequence[Labelled], progress: Progress | None) -> Answers:
    labels = examples[0].labels
    for example in examples:
        _known(example.label, labels, example.id)
    scores_NL = np.empty((len(examples), len(labels)))
    for place, (_, scored) in enumerate(_scored(model, examples, 1, progress)):
        assert scored.labels_L is not None, "a labelled example needs a model with a label head"
        scores_NL[place] = scored.labels_L
    target_N = np.array([labels.index(example.label) for example in examples], dtype=np.int64)
    return Answers(
        ids=tuple(example.id for example in examples),
        nats_N=-scores_NL[np.arange(len(examples)), target_N],
        tokens_N=np.ones(len(examples)),
        labels=labels,
        target_N=target_N,
        predicted_N=scores_NL.argmax(axis=1),
    )


def _by_option(model: Model, chats: Sequence[Chat], progress: Progress | None) -> Answers:
    """The option of the highest log-probability. Its stop token is left out, as the LM evaluation harness does (a base
    says a label without ending there), unless one option begins another. Earlier assistant turns are scored too, but
    they are common to all options: the likeliest option is the same."""
    labels = tuple(sorted({option for chat in chats for option in chat.options}))
    code = {label: place for place, label in enumerate(labels)}
    asked = [with_answer(chat, option, f"{chat.id}?{k}") for chat in chats for k, option in enumerate(chat.options)]
    results = _scored(model, asked, max(len(chat.options) for chat in chats), progress)
    nats, tokens, target, predicted = [], [], [], []
    for chat in chats:
        right = last_answer(chat)[1]
        _known(right, chat.options, chat.id)
        options = list(islice(results, len(chat.options)))
        stop = slice(None) if _nested(chat.options) else slice(-1)
        logprobs = np.array([scored.logprobs_S[stop].sum() for _, scored in options])
        place = chat.options.index(right)
        nats.append(-options[place][1].logprobs_S.sum())
        tokens.append(options[place][0].targets)
        target.append(code[right])
        predicted.append(code[chat.options[int(logprobs.argmax())]])
    return Answers(
        ids=tuple(chat.id for chat in chats),
        nats_N=np.array(nats, dtype=np.float64),
        tokens_N=np.array(tokens, dtype=np.float64),
        labels=labels,
        target_N=np.array(target, dtype=np.int64),
        predicted_N=np.array(predicted, dtype=np.int64),
    )


@cache
def _nested(options: tuple[str, ...]) -> bool:
    """Whether one option begins another, so that only its end tells them apart."""
    ordered = sorted(options)
    return any(longer.startswith(shorter) for shorter, longer in pairwise(ordered))


def _by_target(model: Model, examples: Sequence[Example], progress: Progress | None) -> Answers:
    results = list(_scored(model, examples, 1, progress))
    return Answers(
        ids=tuple(row.id for row, _ in results),
        nats_N=np.array([-scored.logprobs_S.sum() for _, scored in results], dtype=np.float64),
        tokens_N=np.array([row.targets for row, _ in results], dtype=np.float64),
    )


def _scored(
    model: Model, examples: Sequence[Example], together: int, progress: Progress | None
) -> Iterator[tuple[Row, Scored]]:
    """Every row with its score, in order; `together` neighbours share a prefix and go into one call."""
    size = max(1, ROWS_PER_CALL // together) * together
    for start in range(0, len(examples), size):
        rows = model.renderer.rows(examples[start : start + size])
        scored = model.score(rows)
        if progress:
            progress("evaluating", min(start + size, len(examples)), len(examples))
        yield from zip(rows, scored, strict=True)


def _known(right: str, options: Sequence[str], where: str) -> None:
    if right not in options:
        raise Refused(
            f"the right answer '{right}' is none of the {len(options)} known ones",
            why="a model that chooses among options cannot give it",
            instead="correct the row, or add rows with this answer to the training data",
            where=where,
        )
