"""Two texts that belong together: a question and its passage, two duplicates; and texts that only seem to belong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import field_validator

from affina.core.example import Example
from affina.core.example import Related as RelatedTexts
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.shapes.multi_label import SWITCHES

PAIRS = (
    ("anchor", "positive"),
    ("query", "positive"),
    ("question", "positive"),
    ("query", "pos"),
    ("domanda", "positivo"),
)
TWINS = (("question1", "question2"), ("sentence1", "sentence2"), ("text1", "text2"), ("frase1", "frase2"))
NEGATIVES = ("negative", "negatives", "neg", "hard_negative", "hard_negatives", "negativo", "negativi")
SAME = ("is_duplicate", "duplicate", "is_paraphrase", "paraphrase", "duplicato", "parafrasi")


class Related(Shape):
    """An anchor and its positive. Of pairs marked as related or not, those that are not are set aside."""

    makes: ClassVar[type[Example]] = RelatedTexts

    anchor: str = "anchor"
    """The column of the first text."""
    positive: str = "positive"
    """The column of the text that belongs to it."""
    negatives: tuple[str, ...] = ()
    """Columns of texts that do not belong to it: a text or a list of texts each; empty cells are passed over."""
    related: str = ""
    """The column that says, 0 or 1, whether the two belong together, where there is one."""

    @field_validator("negatives", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_column(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """Columns called anchor or query and positive; or two numbered texts and whether they are duplicates."""
        found = columns.usual(records)
        for pair in PAIRS:
            if (anchor := columns.named(found, pair[:1])) and (positive := columns.named(found, pair[1:])):
                numbered = sorted(name for name in found if name.lower().rstrip("_0123456789") in NEGATIVES)
                shape = Related(anchor=anchor[0], positive=positive[0], negatives=tuple(numbered))
                return shape, f"related: '{positive[0]}' belongs to '{anchor[0]}'"
        for pair in TWINS:
            two, same = columns.named(found, pair), columns.named(found, SAME)
            if len(two) == 2 and same:
                shape = Related(anchor=two[0], positive=two[1], related=same[0])
                return shape, f"related: '{two[0]}' and '{two[1]}' belong together where '{same[0]}' says so"
        return None

    def example(self, record: Record) -> RelatedTexts:
        """Raises Unusable for an empty text, and for two that are marked as unrelated."""
        if self.related:
            said = columns.text(record, self.related, "mark").strip().lower()
            if said not in SWITCHES:
                raise Unusable(f"column '{self.related}' holds '{said[:40]}' where 0 or 1 is expected")
            if not SWITCHES[said]:
                raise Unusable(f"the two texts do not belong together (column '{self.related}')")
        anchor, positive = columns.text(record, self.anchor, "anchor"), self._positive(record)
        negatives = [text for name in self.negatives for text in _texts(columns.row(record).get(name), name)]
        return RelatedTexts(id=record.where, anchor=anchor, positive=positive, negatives=tuple(negatives))

    def _positive(self, record: Record) -> str:
        found = _texts(columns.value(record, self.positive), self.positive)
        if len(found) != 1:
            raise Unusable(f"the positive is {'empty' if not found else 'several texts'} (column '{self.positive}')")
        return found[0]


def _texts(cell: Any, column: str) -> list[str]:
    cells = cell if isinstance(cell, list) else [cell]
    return [text for each in cells if (text := columns.plain(each, column)).strip()]
