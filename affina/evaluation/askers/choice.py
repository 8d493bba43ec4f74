"""Conversations whose last answer is one of a few: the likeliest one."""

from collections.abc import Sequence
from itertools import islice
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.example import Chat, Example
from affina.core.kinds import Asked, Asker, Model
from affina.evaluation.asking import known, nested, scored, unscored
from affina.evaluation.turns import by_target, chosen, last_answer, spoken, with_answer


class Choice(Asker):
    """The option of the highest log-probability; where no label is asked for, only the right option is scored.

    An option's stop token is left out, as the LM evaluation harness does (a base says a label without ending there),
    unless one option begins another. Earlier assistant turns are scored too, but they are common to all options.
    A model without log-probabilities is taken at its word.
    """

    asks: ClassVar = Chat
    gives: ClassVar = frozenset({"nats", "words", "label", "chances", "text"})
    why: ClassVar[str] = "a choice among options gives words and labels"
    usual: ClassVar = ("accuracy", "f1", "loss")

    @classmethod
    def fits(cls, examples: Sequence[Example]) -> bool:
        return all(isinstance(each, Chat) and bool(each.options) for each in examples)

    def answers(self, model: Model, examples: Sequence[Chat], asked: Asked) -> Answers:
        """Raises Refused, naming the example, when its right answer is none of its options."""
        if not asked.columns & {"label", "chances"}:
            return spoken(model, examples, by_target(model, examples, asked), asked)
        if unscored(model):
            return chosen(model, examples, asked)
        labels = tuple(sorted({option for chat in examples for option in chat.options}))
        code = {label: place for place, label in enumerate(labels)}
        put = [
            with_answer(chat, option, f"{chat.id}?{k}") for chat in examples for k, option in enumerate(chat.options)
        ]
        results = scored(model, put, asked, max(len(chat.options) for chat in examples))
        nats, tokens, target = [], [], []
        chances_NL = np.zeros((len(examples), len(labels)))
        for n, chat in enumerate(examples):
            right = last_answer(chat)[1]
            known(right, chat.options, chat.id)
            options = list(islice(results, len(chat.options)))
            stop = slice(None) if nested(chat.options) else slice(-1)
            logprobs = np.array([each.logprobs_S[stop].sum() for _, each in options])
            place = chat.options.index(right)
            nats.append(-options[place][1].logprobs_S.sum())
            tokens.append(options[place][0].targets)
            target.append(code[right])
            shares = np.exp(logprobs - logprobs.max())
            chances_NL[n, [code[option] for option in chat.options]] = shares / shares.sum()
        return spoken(
            model,
            examples,
            Answers(
                ids=tuple(chat.id for chat in examples),
                nats_N=np.array(nats, dtype=np.float64),
                tokens_N=np.array(tokens, dtype=np.float64),
                labels=labels,
                target_N=np.array(target, dtype=np.int64),
                predicted_N=chances_NL.argmax(axis=1),
                chances_NL=chances_NL,
            ),
            asked,
        )
