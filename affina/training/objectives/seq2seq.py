"""Encoder–decoder fine-tuning: the result word by word, after the source was read whole."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from affina.core.example import Chat, Example, Parallel
from affina.training.worded import Worded


class Seq2seq(Worded):
    """Mean of -log p of the result's tokens (Sutskever et al., 2014; Raffel et al., 2020). A conversation becomes its
    last answer, with all that was said before as the source."""

    consumes: ClassVar = (Parallel, Chat)
    reads: ClassVar[str] = "source"

    instruction: str = Field("")
    """Put before every source, such as T5's `summarize: `; with a space at its end where one belongs there."""
    opening: str = ""
    """The special token that stands first in every result, such as mBART's `it_IT` or NLLB's `ita_Latn` for Italian;
    empty: what the tokenizer itself puts before a text."""

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
        source = self.instruction + source
        return Parallel(**example.beside(), source=source, result=result, references=more, opening=self.opening)
