"""What shapes share: reading a column of one record, and finding columns by their names over many records."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from affina.core.errors import nearest
from affina.core.kinds import Record, Unusable

USUAL = 0.9
"""The share of records a column must be in to count as there."""
TEXTS = tuple(
    re.findall(
        r"\w+",
        """text sentence utterance message query question review tweet comment content body description input
    document abstract testo frase messaggio domanda recensione commento contenuto descrizione documento title headline
    titolo""",
    )
)
"""What columns of text are called, likeliest first."""


TWO_TEXTS = (
    ("premise", "hypothesis"),
    ("premessa", "ipotesi"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("query", "passage"),
    ("frase1", "frase2"),
    ("testo1", "testo2"),
)
"""What two columns are called of which a class or a number tells how they stand to each other."""


class MissingColumn(Unusable):
    """The record has no such column; when no record has it, the whole request is refused."""

    def __init__(self, column: str, known: list[str]) -> None:
        self.column = column
        super().__init__(f"no column '{column}'; {nearest(column, known)}" if known else f"no column '{column}'")


def row(record: Record) -> Mapping[str, Any]:
    """The record's columns. Raises Unusable for a record without columns."""
    if not isinstance(record.values, Mapping):
        raise Unusable("the row has no columns")
    return record.values


def value(record: Record, column: str) -> Any:
    """A column's value; `a.b` is what the object in column `a` has under `b`. Raises MissingColumn."""
    values = row(record)
    if column not in values:
        outer, dot, key = column.partition(".")
        if dot and isinstance(inside := values.get(outer), Mapping) and key in inside:
            return inside[key]
        raise MissingColumn(column, [str(name) for name in values])
    return values[column]


def text(record: Record, column: str, what: str) -> str:
    """A column's text, as it stands. Raises Unusable when it is not text, or nothing but white space."""
    found = plain(value(record, column), column)
    if not found.strip():
        raise Unusable(f"the {what} is empty (column '{column}')")
    return found


def lines(record: Record, names: str | tuple[str, ...], what: str) -> str:
    """A column's text; of several columns a line each, `column: text`. Raises Unusable when one is empty."""
    if isinstance(names, str):
        return text(record, names, what)
    return "\n".join(f"{name}: {text(record, name, what)}" for name in names)


def optional(record: Record, column: str) -> str:
    """A column's text, or an empty string where the record does not have it."""
    return plain(row(record).get(column), column)


def plain(found: Any, column: str) -> str:
    """Text from a string, a number or a truth value; null is empty. Raises Unusable for anything with an inside."""
    if found is None:
        return ""
    if isinstance(found, str):
        return found
    if isinstance(found, (bool, int, float)):
        return str(found).lower() if isinstance(found, bool) else str(found)
    raise Unusable(
        f"column '{column}' holds {'a list' if isinstance(found, list) else 'an object'} where text is expected"
    )


def usual(records: Sequence[Record]) -> dict[str, list[Any]]:
    """Column → its values, for the columns that most records have; empty when some records have no columns at all."""
    found: dict[str, list[Any]] = {}
    for record in records:
        if not isinstance(record.values, Mapping):
            return {}
        for name, held in record.values.items():
            found.setdefault(str(name), []).append(held)
    return {name: values for name, values in found.items() if len(values) >= USUAL * len(records)}


def texts(values: Sequence[Any]) -> bool:
    """Whether most of these values are strings and some are not empty."""
    strings = [each for each in values if isinstance(each, str)]
    return len(strings) >= USUAL * len(values) and any(each.strip() for each in strings)


def named(columns: Collection[str], names: Sequence[str]) -> list[str]:
    """The columns called by one of these names, in the order of the names; case, spaces and dashes do not count."""
    plain_names = {re.sub(r"[\s-]+", "_", column.strip().lower()): column for column in columns}
    return [plain_names[name] for name in names if name in plain_names]


def flat(found: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
    """The columns that hold nothing with an inside, as text."""
    held: dict[str, list[str]] = {}
    for name, values in found.items():
        if not any(isinstance(each, (list, Mapping)) for each in values):
            held[name] = [plain(each, name).strip() for each in values]
    return held


def prose(values: Sequence[str]) -> bool:
    """Whether these read like text: mostly distinct values of more than one word."""
    filled = [each for each in values if each]
    distinct = len(set(filled)) >= len(filled) / 2
    return bool(filled) and distinct and sum(" " in each for each in filled) >= len(filled) / 2


def two_texts(found: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Two columns of texts that are told apart by nothing but their usual pair of names; none where there are none."""
    for pair in TWO_TEXTS:
        two = tuple(name for each in pair for name in named(found, (each,)))
        if len(two) == 2 and all(sum(" " in cell for cell in found[name]) >= len(found[name]) / 2 for name in two):
            return two
    return ()


def last_word(columns: Collection[str], names: Sequence[str]) -> list[str]:
    """The columns whose last word is one of these names: `Best Answer`, `target_text` is none of `target`."""
    parts = {column: re.findall(r"[A-Z]?[a-z]+|[A-Z]+", column) for column in columns}
    return [column for column, found in parts.items() if len(found) > 1 and found[-1].lower() in names]


def bracketed(values: Sequence[str]) -> bool:
    """Whether these are sentences as trees in brackets, which say again what a text says."""
    filled = [each for each in values if each]
    return all(each[0] == "(" and each.endswith(")") and each.count("(") > 2 for each in filled)


def text_column(found: Mapping[str, Sequence[str]]) -> str:
    """The column that reads most like the text: by its name, else the longest; empty where none reads like text."""
    others = {name: values for name, values in found.items() if prose(values) and not bracketed(values)}
    longest = max(others, key=lambda name: sum(map(len, others[name])), default="")
    called = named(others, TEXTS) or last_word(others, TEXTS)
    return called[0] if called and (len(called) == 1 or called == named(others, TEXTS)) else longest
