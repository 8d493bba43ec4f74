"""A record of many columns: columns become the text by a template, and one column is its class."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import field_validator

from affina.core.example import Example, Labelled
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns
from affina.data.shapes.labelled import LABELS, distinct

TARGETS = (
    *LABELS,
    *re.findall(
        r"\w+",
        """y outcome result fraud is_fraud churn churned exited default survived species diagnosis income attrition
    loan_status approved subscribed deposit risk esito frode specie abbandono reddito""",
    ),
)
PLACE = re.compile(r"\{([^{}]+)\}")
SENTENCE = 6
"""Mean words from which a column that no name tells is a text."""
WIDE = 5
"""Columns from which a table is wide: one that reads like text may then be a name."""
FEWEST = 3
"""Columns below which rows are no records of many columns."""


class ManyColumns(Shape):
    """Every column but the target is told in the text; an empty cell is not told."""

    makes: ClassVar[type[Example]] = Labelled

    target: str = "label"
    """The column of the class."""
    template: str = "{column}: {value}"
    """What a column becomes, a line each, with `{column}` and `{value}`; or the whole text, with columns in braces."""
    leave_out: tuple[str, ...] = ()
    """Columns that are not told: identifiers, what is known only afterwards."""

    @field_validator("template")
    @classmethod
    def _has_a_place(cls, template: str) -> str:
        if not PLACE.search(template):
            raise ValueError("the template names no column: write {column}: {value}, or columns' names in braces")
        return template

    @field_validator("leave_out", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_column(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """Three columns or more, none of which reads like a text, and one called like a target whose values repeat."""
        if not all(isinstance(record.values, Mapping) for record in records):
            return None
        found = columns.usual(distinct(records))
        flat = columns.flat(found)
        if len(flat) < len(found) or len(flat) < FEWEST or any(_is_text(*each, len(flat)) for each in flat.items()):
            return None
        called = [name for name in columns.named(flat, TARGETS) if 1 < len(set(flat[name])) <= len(flat[name]) / 2]
        if not called:
            return None
        numbers = tuple(name for name, values in flat.items() if _numbers_rows(values))
        why = f"record: class in column '{called[0]}', the text told from {len(flat) - 1 - len(numbers)} columns"
        return ManyColumns(target=called[0], leave_out=numbers), why

    def example(self, record: Record) -> Labelled:
        """Raises Unusable when the class is empty or missing, a column of the template is, or nothing is told."""
        label = columns.text(record, self.target, "label").strip()
        text = self._by_column(record) if self._repeats else self._whole(record)
        if not text.strip():
            raise Unusable("every column of the text is empty")
        return Labelled(id=record.where, text=text, label=label)

    def uses(self, columns: Collection[str]) -> set[str]:
        """All but those left out; with a template of the whole text, the ones it names."""
        told = set(columns).difference(self.leave_out) if self._repeats else set(PLACE.findall(self.template))
        return (told | {self.target}) & set(columns)

    @property
    def _repeats(self) -> bool:
        return set(PLACE.findall(self.template)) == {"column", "value"}

    def _by_column(self, record: Record) -> str:
        lines = []
        for name, value in columns.row(record).items():
            written = columns.plain(value, str(name)).strip()
            if written and name not in (self.target, *self.leave_out):
                line = {"column": str(name), "value": written}
                lines.append(PLACE.sub(lambda place, line=line: line[place[1]], self.template))  # type: ignore[misc]
        return "\n".join(lines)

    def _whole(self, record: Record) -> str:
        return PLACE.sub(lambda place: columns.plain(columns.value(record, place[1]), place[1]), self.template)


def _is_text(name: str, values: Sequence[str], width: int) -> bool:
    """Whether a column is a text to be read, and not a name or an address among the columns of a wide table."""
    words = sum(len(each.split()) for each in values) / max(1, len(values))
    return columns.prose(values) and (width < WIDE or words >= SENTENCE or bool(columns.named([name], columns.TEXTS)))


def _numbers_rows(values: Sequence[str]) -> bool:
    """A row's own number: whole numbers that rise from row to row."""
    if not all(re.fullmatch(r"\d{1,18}", value) for value in values):
        return False
    numbers = list(map(int, values))
    return len(numbers) > 1 and len(set(numbers)) == len(numbers) and numbers == sorted(numbers)
