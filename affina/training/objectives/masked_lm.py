"""Masked language modelling: hidden tokens are said from both sides (Devlin et al., 2019)."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from affina.core.example import Example, Gapped, Text
from affina.training.gapped import with_gaps
from affina.training.worded import Worded


class MaskedLm(Worded):
    """Mean of -log p of the hidden tokens; which are hidden is drawn anew each time a text is met (RoBERTa's dynamic
    masking, Liu et al., 2019), and by the text's id where models are measured."""

    consumes: ClassVar = (Text,)
    reads: ClassVar[str] = "both"

    share: float = Field(0.15, gt=0, lt=1)
    """The share of tokens that is hidden: 80 % behind the mask, 10 % behind another token, 10 % left as they are."""
    whole_words: bool = True
    """Hide words whole, as the tokenizer divides text before it makes tokens."""

    def expand(self, examples: Sequence[Example]) -> list[Example]:
        return with_gaps(examples, Gapped(id="", text="", share=self.share, whole=self.whole_words))
