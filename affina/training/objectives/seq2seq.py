"""Encoder–decoder fine-tuning: the result word by word, after the source was read whole."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from affina.core.example import Chat, Example, Parallel
from affina.core.kinds import Batch, Forward, Loss, Objective


class Seq2seq(Objective):
    """Mean of -log p of the result's tokens (Sutskever et al., 2014; Raffel et al., 2020). A conversation becomes its
    last answer, with all that was said before as the source."""

    consumes: ClassVar = (Parallel, Chat)
    reads: ClassVar[str] = "source"

    instruction: str = Field("")
    """Put before every source, such as T5's `summarize: `; with a space at its end where one belongs there."""

    def expand(self, examples: Sequence[Example]) -> list[Example]:
        return [self._put(each) for each in examples]

    def _put(self, example: Example) -> Example:
        if isinstance(example, Parallel):
            source, result, more = example.source, example.result, example.references
        else:
            assert isinstance(example, Chat)
            last = max(n for n, turn in enumerate(example.messages) if turn.role == "assistant")
            source = "\n".join(turn.content for turn in example.messages[:last])
            result, more = example.messages[last].content, ()
        return Parallel(
            id=example.id, split=example.split, source=self.instruction + source, result=result, references=more
        )

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        assert forward.logprobs_S is not None, "this objective ends in words"
        return Loss(-(forward.logprobs_S * forward.weights_S).sum(), float(batch.weights_S.sum()))
