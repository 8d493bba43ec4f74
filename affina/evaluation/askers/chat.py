"""Conversations with free answers: how likely the right one is, and what is generated instead."""

from collections.abc import Sequence
from typing import Any, ClassVar

from affina.core.answers import Answers
from affina.core.example import Chat as Conversation
from affina.core.example import Example
from affina.core.kinds import Asked, Asker, Model, Row
from affina.evaluation.turns import by_target, last_answer, spoken
from affina.evaluation.typical import typical
from affina.evaluation.unigram import unigram


class Chat(Asker):
    """-log p of the assistant's turns, and the text generated for the last one."""

    asks: ClassVar = Conversation
    gives: ClassVar = frozenset({"nats", "words", "text"})
    why: ClassVar[str] = "free answers have no fixed set of labels"
    usual: ClassVar = ("loss", "perplexity")
    without: ClassVar[str] = "the unigram model of the training split (as a text: its most typical answer)"

    @classmethod
    def fits(cls, examples: Sequence[Example]) -> bool:
        return all(isinstance(each, Conversation) for each in examples) and not all(
            isinstance(each, Conversation) and each.options for each in examples
        )

    def answers(self, model: Model, examples: Sequence[Conversation], asked: Asked) -> Answers:
        return spoken(model, examples, by_target(model, examples, asked), asked)

    def counted(self, train: Sequence[Row], test: Sequence[Row], vocabulary: int) -> Answers:
        return unigram(train, test, vocabulary)

    def said(self, train: Sequence[Conversation], test: Sequence[Conversation]) -> dict[str, Any]:
        """The most typical last answer of the training split."""
        always = typical([last_answer(each)[1] for each in train])
        return {"said": (always,) * len(test), "expected": tuple(last_answer(each)[1] for each in test)}
