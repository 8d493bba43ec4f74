"""A text column and a class column: the class is recognised by its name, or by few values that repeat."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from affina.core.example import Example
from affina.core.example import Labelled as LabelledText
from affina.core.kinds import Record, Shape
from affina.data import columns, several

LABELS = tuple(
    re.findall(
        r"\w+",
        """label intent category class sentiment target topic act etichetta intento categoria classe sentimento
    argomento""",
    )
)
RATINGS = tuple(
    re.findall(
        r"\w+",
        """rating score stars value similarity relatedness grade overall star_rating review_rating review_score
    relatedness_score similarity_score punteggio voto valutazione stelle valore somiglianza""",
    )
)
SETS = tuple(
    re.findall(
        r"\w+",
        """labels tags terms categories genres topics keywords classes intents emotions etichette categorie generi
    argomenti termini classi emozioni""",
    )
)
BY_NAME = "by its name"
ANSWERS = tuple(
    re.findall(
        r"\w+",
        "completion response answer output reply summary risposta completamento riassunto chosen rejected",
    )
)


class Labelled(Shape):
    """One text, one class. Labels are compared as text, without white space around them."""

    makes: ClassVar[type[Example]] = LabelledText

    text: str | tuple[str, ...] = "text"
    """The column of the text to classify; of several columns each is told in a line, `column: text`."""
    label: str = "label"
    """The column of its class."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """A class column by name or by repetition, and beside it the column that reads most like text."""
        if not all(isinstance(record.values, Mapping) for record in records):
            return None
        found = columns.flat(columns.usual(distinct(records)))
        label, why = label_column(found)
        others = {name: values for name, values in found.items() if name != label}
        text = (columns.two_texts(others) if why == BY_NAME else ()) or columns.text_column(others)
        if not label or not text or chooses(found[label], others) or (why != BY_NAME and _holds_more(records)):
            return None
        told = f"column '{text}'" if isinstance(text, str) else " and ".join(f"'{name}'" for name in text)
        return Labelled(text=text, label=label), f"labelled: text in {told}, class in '{label}' ({why})"

    def example(self, record: Record) -> LabelledText:
        """Raises Unusable when the text or the label is empty or missing; the label set is added later."""
        label = columns.text(record, self.label, "label").strip()
        return LabelledText(id=record.where, text=columns.lines(record, self.text, "text"), label=label)


def distinct(records: Sequence[Record]) -> list[Record]:
    """The records without those that say what an earlier one says; a column that only numbers the rows says nothing."""
    numbering = {name for name, values in columns.flat(columns.usual(records)).items() if _numbers_rows(values)}
    first: dict[str, Record] = {}
    for record in records:
        held = {name: value for name, value in columns.row(record).items() if str(name) not in numbering}
        first.setdefault(repr(held), record)
    return list(first.values())


def _numbers_rows(values: Sequence[str]) -> bool:
    """A different word or number in each row, as an identifier is."""
    return len(set(values)) == len(values) and all(re.fullmatch(r"[\w-]+", value) for value in values)


def label_column(found: Mapping[str, list[str]]) -> tuple[str, str]:
    """The class column and why; empty when there is none, or when several could be."""
    fits = {name: values for name, values in found.items() if _repeats(values) and not _is_other(name, values)}
    called = columns.named(fits, LABELS) or [name for name in fits if words(name) & set(LABELS)]
    if called:
        return called[0], BY_NAME
    several_classes = repeating(fits)
    if len(several_classes) != 1 or columns.named(found, ANSWERS) or _looks_measured(found[several_classes[0]]):
        return "", ""
    return several_classes[0], "few values that repeat"


def repeating(found: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns of a few values, two at least, that come again and again."""
    return [name for name, values in found.items() if _repeats(values) and len(set(filter(None, values))) > 1]


def classes(found: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns that could be the class, for a person to choose from."""
    fits = [name for name in repeating(found) if not _is_other(name, found[name]) and not _looks_measured(found[name])]
    return sorted(fits, key=lambda name: not words(name) & set(LABELS))


def _holds_more(records: Sequence[Record]) -> bool:
    """Whether a column holds lists of objects: then a column whose values happen to repeat is not what rows are for."""
    return any(
        isinstance(value, list) and any(isinstance(each, Mapping) for each in value)
        for values in columns.usual(records).values()
        for value in values
    )


def chooses(label: Sequence[str], others: Mapping[str, Sequence[str]]) -> bool:
    """Whether the label is the number of a column among several of one name, `ans0`, `ans1` …: a choice, no class."""
    kinds = set(filter(None, label))
    families = {re.sub(r"[_ ]?\d+$", "", name) for name in others if name[-1:].isdigit()}
    numbered = [{name for name in others if re.fullmatch(rf"{re.escape(stem)}[_ ]?\d+", name)} for stem in families]
    return all(each.isdigit() for each in kinds) and any(len(names) == len(kinds) for names in numbered if names)


def _is_other(name: str, values: Sequence[str]) -> bool:
    """Sets of labels, ratings and fractions are no classes, although they repeat."""
    if columns.named([name], RATINGS) or _fractions(values) or several.lists_of_labels(values):
        return True
    return bool(columns.named([name], SETS) and several.delimiter(values))


def _fractions(values: Sequence[str]) -> bool:
    """Numbers of which most are no whole ones."""
    filled = [value for value in values if value]
    return 2 * sum(bool(re.fullmatch(r"-?\d*[.,]\d*[1-9]\d*", value)) for value in filled) > len(filled)


def _looks_measured(values: Sequence[str]) -> bool:
    """Numbers of three characters or more are dates, years or amounts, not classes."""
    return all(re.fullmatch(r"[-+\d.,:/ ]+", value) for value in values if value) and max(map(len, values)) > 2


def words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", name.lower()))


def _repeats(values: Sequence[str]) -> bool:
    """Few distinct short values: at most half as many as rows, or any number up to the rows in a handful of rows."""
    filled = [value for value in values if value]
    kinds = set(filled)
    few = len(kinds) <= max(2, len(filled) // 2) and len(kinds) < len(filled)
    return len(filled) > len(values) / 2 and few and sum(map(len, kinds)) <= 64 * len(kinds)
