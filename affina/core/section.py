"""What a recipe is made of."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A group of settings of a recipe."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )
