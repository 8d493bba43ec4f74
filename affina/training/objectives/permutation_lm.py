"""Permutation language modelling: hidden tokens are said in a drawn order, each from those before it (XLNet)."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from affina.core.example import Example, Gapped, Text
from affina.training.gapped import with_gaps
from affina.training.worded import Worded


class PermutationLm(Worded):
    """Mean of -log p of the chosen tokens, by two-stream attention (Yang et al., 2019, §2.3): a token is said from its
    place, all tokens not chosen, and those chosen before it in the drawn order. For XLNet-like bases."""

    consumes: ClassVar = (Text,)
    reads: ClassVar[str] = "order"

    share: float = Field(1 / 6, gt=0, lt=1)
    """The share of tokens that is chosen; the paper's 1 / K with K = 6."""
    spans: int = Field(5, ge=1)
    """Runs of 1 to this many words are chosen together (the paper's 5)."""

    def expand(self, examples: Sequence[Example]) -> list[Example]:
        return with_gaps(examples, Gapped(id="", text="", share=self.share, permuted=True, spans=self.spans))
