"""What askers share: every row with its score, and the complaints about answers that cannot be given."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

from affina.core.errors import Refused
from affina.core.example import Example, Labelled
from affina.core.kinds import Asked, Limited, Model, Row, Scored

ROWS_PER_CALL = 1024
"""Rows scored in one call: enough for the engine to share prefixes and fill its batches, few enough to hold."""


def scored(model: Model, examples: Sequence[Example], asked: Asked, together: int = 1) -> Iterator[tuple[Row, Scored]]:
    """Every row with its score, in order; `together` neighbours share a prefix and go into one call."""
    size = max(1, ROWS_PER_CALL // together) * together
    for start in range(0, len(examples), size):
        rows = model.renderer.rows(examples[start : start + size])
        found = model.score(rows)
        if asked.progress:
            asked.progress("evaluating", min(start + size, len(examples)), len(examples))
        yield from zip(rows, found, strict=True)


def need_labels(model: Model, example: Labelled) -> None:
    """Raises Refused for a model without a head for as many labels as the example knows."""
    given = model.score(model.renderer.rows([example]))[0].scores_L
    if given is None or len(given) != len(example.labels):
        has = "no head of labels" if given is None else f"{len(given)} labels"
        raise Refused(
            "these texts cannot be put to this model",
            why=f"it has {has}, and {len(example.labels)} are expected: {', '.join(example.labels)}",
            instead="give a run that was trained with these labels",
        )


def unscored(model: Model) -> str:
    """Why the model gives no log-probabilities of given answers, in a clause; empty where it does."""
    return model.unscored() if isinstance(model, Limited) else ""


def known(right: str, options: Sequence[str], where: str) -> None:
    """Raises Refused where the right answer is none of the options."""
    if right not in options:
        raise Refused(
            f"the right answer '{right}' is none of the {len(options)} known ones",
            why="a model that chooses among options cannot give it",
            instead="correct the row, or add rows with this answer to the training data",
            where=where,
        )


@cache
def nested(options: tuple[str, ...]) -> bool:
    """Whether one option begins another, so that only its end tells them apart."""
    ordered = sorted(options)
    return any(longer.startswith(shorter) for shorter, longer in pairwise(ordered))
