"""Texts and what they become, put to an encoder–decoder: how likely the right result is, and what is generated."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.example import Parallel as ParallelTexts
from affina.core.kinds import Asked, Asker, Model, Row
from affina.evaluation.asking import scored
from affina.evaluation.unigram import unigram


class Parallel(Asker):
    """-log p of the result, and the text generated from the source. All references are right beside the result."""

    asks: ClassVar = ParallelTexts
    gives: ClassVar = frozenset({"nats", "words", "text"})
    why: ClassVar[str] = "a text that becomes another gives words"
    usual: ClassVar = ("loss", "chrf", "rouge_l")
    without: ClassVar[str] = "the unigram model of the training split (as a text: the source itself)"

    def answers(self, model: Model, examples: Sequence[ParallelTexts], asked: Asked) -> Answers:
        results = list(scored(model, examples, asked))
        found = Answers(
            ids=tuple(row.id for row, _ in results),
            nats_N=np.array([-each.logprobs_S.sum() for _, each in results], dtype=np.float64),
            tokens_N=np.array([row.targets for row, _ in results], dtype=np.float64),
        )
        if "text" not in asked.columns:
            return found
        prompts = [model.renderer.prompt(example) for example in examples]
        return replace(
            found, said=tuple(sampled.text for sampled in model.sample(prompts, asked.how)), **_right(examples)
        )

    def counted(self, train: Sequence[Row], test: Sequence[Row], vocabulary: int) -> Answers:
        return unigram(train, test, vocabulary)

    def said(self, train: Sequence[ParallelTexts], test: Sequence[ParallelTexts]) -> dict[str, Any]:
        """The source as it stands."""
        return {"said": tuple(example.source for example in test), **_right(test)}


def _right(examples: Sequence[ParallelTexts]) -> dict[str, Any]:
    return {
        "expected": tuple(example.result for example in examples),
        "references": tuple((example.result, *example.references) for example in examples),
    }
