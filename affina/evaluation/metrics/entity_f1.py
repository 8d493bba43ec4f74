"""F1 of entities: an entity counts where its type, its first word and its last word are all right."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Floats
from affina.evaluation.weighted import Counted, over

Entity = tuple[str, int, int]
"""Type, first word, and the word after the last."""


class EntityF1(Counted):
    """2·right / (given + actual) over all types (CoNLL-2003), entities read from tags as conlleval reads them.

    IOB1, IOB2, IOE, BIOES and BILOU may stand for one another; a tag without such a letter is a type of its own.
    """

    reads: ClassVar[str] = "tags"

    def objection(self, labels: Sequence[str]) -> str:
        """Parts of speech, and entities by number, leave no word outside."""
        if not labels or any(_parts(each)[0] == "O" or each[1:2] == "-" for each in labels):
            return ""
        return (
            f"none of the tags ({', '.join(labels[:4])} …) stands for a word outside of all entities: use tag_accuracy"
        )

    def counts(self, answers: Answers) -> Floats:
        assert answers.tags is not None and answers.guessed is not None, "entity_f1 reads tags"
        both = [(entities(right), entities(given)) for right, given in zip(answers.tags, answers.guessed, strict=True)]
        rows = [[2 * len(right & given), len(right) + len(given)] for right, given in both]
        return np.array(rows, dtype=np.float64)

    def total(self, sums_BC: Floats) -> Floats:
        return over(sums_BC[:, 0], sums_BC[:, 1])


def entities(tags: Sequence[str]) -> frozenset[Entity]:
    """The entities of one text."""
    found, start, last = set[Entity](), 0, ("O", "")
    for place, (letter, kind) in enumerate([*map(_parts, tags), ("O", "")]):
        inside = last[0] != "O"
        # An entity ends where another begins, its type changes, or its tag or the one before says so.
        parted = letter in "OBS" or last[0] in "ES" or kind != last[1]
        if inside and parted:
            found.add((last[1], start, place))
        if letter != "O" and (parted or not inside):
            start = place
        last = (letter, kind)
    return frozenset(found)


def _parts(tag: str) -> tuple[str, str]:
    """A tag's letter, one of B, I, E, S and O, and its type."""
    if tag[1:2] in ("", "-") and tag[:1] in "BIESLUO":
        return {"L": "E", "U": "S"}.get(tag[:1], tag[:1]) or "O", tag[2:]
    return "I", tag
