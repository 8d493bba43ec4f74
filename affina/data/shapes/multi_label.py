"""A text and all classes that are right for it: a list, delimited text, or one column of 0 and 1 for each class."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator

from affina.core.example import Example, MultiLabelled
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns, several
from affina.data.shapes.labelled import BY_NAME, LABELS, SETS, distinct, label_column, words
from affina.data.shapes.tagged import pair

DIGITS = frozenset(("0", "1", "0.0", "1.0"))
"""By these a column is recognised: true and false are more often a property than a class."""
SWITCHES = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


class MultiLabel(Shape):
    """One text, any number of classes. No class at all is written `[]`, or 0 in every column; an empty cell is not."""

    makes: ClassVar[type[Example]] = MultiLabelled

    text: str = "text"
    """The column of the text to classify."""
    labels: tuple[str, ...] = Field(("labels",), min_length=1)
    """The column of the classes; or several columns, each called like a class and holding 0 or 1."""
    delimiter: str = ""
    """What stands between classes written as plain text; lists need none."""

    @field_validator("labels", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_column(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """A column called like labels, of lists or delimited, in which the same few repeat; or columns of 0 and 1."""
        if not all(isinstance(record.values, Mapping) for record in records):
            return None
        found = columns.usual(distinct(records))
        labels, delimiter, why = _labels(found)
        text = columns.text_column({name: values for name, values in columns.flat(found).items() if name not in labels})
        if not labels or not text or pair(found):
            return None
        shape = MultiLabel(text=text, labels=labels, delimiter=delimiter)
        told = ", ".join(repr(name) for name in labels)
        return shape, f"multi_label: text in column '{text}', classes in {told} ({why})"

    def example(self, record: Record) -> MultiLabelled:
        """Raises Unusable for an empty text, an empty cell of classes, or a cell that is not 0 or 1."""
        text = columns.text(record, self.text, "text")
        right = self._listed(record) if len(self.labels) == 1 else self._switched(record)
        return MultiLabelled(id=record.where, text=text, right=tuple(sorted(set(right))))

    def _listed(self, record: Record) -> list[str]:
        (column,) = self.labels
        cell = columns.value(record, column)
        found = several.items(cell)
        if found is None:
            written = columns.text(record, column, "set of labels")
            found = written.split(self.delimiter) if self.delimiter else [written]
        return [label for each in found if (label := columns.plain(each, column).strip())]

    def _switched(self, record: Record) -> list[str]:
        return [column for column in self.labels if _switch(columns.value(record, column), column)]


def _switch(value: Any, column: str) -> bool:
    written = columns.plain(value, column).strip().lower()
    if written not in SWITCHES:
        raise Unusable(f"column '{column}' holds '{written[:40]}' where 0 or 1 is expected")
    return SWITCHES[written]


def _labels(found: Mapping[str, list[Any]]) -> tuple[tuple[str, ...], str, str]:
    """The columns of classes, the delimiter, and why; no column where none reads like sets of classes."""
    flat = columns.flat(found)
    switches = tuple(name for name, values in flat.items() if set(values) <= DIGITS)
    label, why = label_column({name: values for name, values in flat.items() if name not in switches})
    if label and why == BY_NAME:
        return (), "", ""
    lists = {name: values for name, values in found.items() if several.lists_of_labels(values)}
    sets = [name for name in _called(lists) if not _beside_another(name, found)]
    if sets:
        return (sets[0],), "", "by its name, lists of labels that repeat"
    for name in columns.named(flat, SETS):
        if mark := several.delimiter(flat[name]):
            return (name,), mark, f"by its name, with '{mark}' between them"
    if len(switches) > 1 and sum(len(set(flat[name])) > 1 for name in switches) > 1:
        return switches, "", "columns of 0 and 1"
    return (), "", ""


def _called(names: Collection[str]) -> list[str]:
    """The columns called like sets of labels, or like one label; then those with such a word in their name."""
    known = (*SETS, *LABELS)
    exact = columns.named(names, known)
    return exact + [name for name in names if name not in exact and words(name) & set(known)]


def _beside_another(name: str, found: Mapping[str, list[Any]]) -> bool:
    """Whether another column always holds a list of the same length: this one then labels the other's items."""
    own = [len(several.items(cell) or ()) for cell in found[name]]
    others = [values for other, values in found.items() if other != name and len(values) == len(own)]
    return len(set(own)) > 1 and any([len(several.items(cell) or ()) for cell in values] == own for values in others)
