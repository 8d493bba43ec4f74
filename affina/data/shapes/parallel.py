"""Two texts, the second what the first becomes: a translation, a summary, a sentence for a meaning."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from affina.core.example import Example
from affina.core.example import Parallel as ParallelTexts
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns

PAIRS = (
    ("source", "target"),
    ("src", "tgt"),
    ("src", "trg"),
    ("source", "translation"),
    ("mr", "ref"),
    ("meaning_representation", "human_reference"),
    ("dialogue", "summary"),
    ("document", "summary"),
    ("article", "highlights"),
    ("article", "summary"),
    ("text", "summary"),
    ("dialogo", "riassunto"),
    ("documento", "riassunto"),
    ("articolo", "riassunto"),
    ("testo", "riassunto"),
    ("testo", "sintesi"),
)
LANGUAGES = re.findall(
    r"\w+",
    """en eng english inglese it ita italian italiano es spa spanish spagnolo fr fra fre french francese de deu ger
    german tedesco pt por portuguese nl nld dutch pl pol polish ro ron romanian ru rus russian sv swe cs ces da dan fi
    fin el ell tr tur ar ara zh zho chinese ja jpn japanese ko kor uk ukr hu hun la lat latin latino""",
)


class Parallel(Shape):
    """A source and its target. A target that is a list of texts is the target and further right ones."""

    makes: ClassVar[type[Example]] = ParallelTexts

    source: str = "source"
    """The column of what is given."""
    target: str = "target"
    """The column of what it becomes."""
    references: tuple[str, ...] = Field(())
    """Columns of further right results, where there are any; empty cells are passed over."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """Two columns of texts called by a usual pair of names, or by two languages; also keys of one column's objects,
        `{"translation": {"en": …, "it": …}}`."""
        found = columns.usual(records)
        names = _named(found)
        for outer, values in [] if names else found.items():
            inner = _named(columns.usual([Record(each, "", 0) for each in values]))
            names = tuple(f"{outer}.{key}" for key in inner) if inner else names
        if names is None:
            return None
        source, *targets = names
        shape = Parallel(source=source, target=targets[0], references=tuple(targets[1:]))
        why = f"parallel: column '{source}' becomes {' or '.join(repr(name) for name in targets)}"
        return shape, why

    def example(self, record: Record) -> ParallelTexts:
        """Raises Unusable when the source or the target is empty or missing."""
        source = columns.text(record, self.source, "source")
        given = columns.value(record, self.target)
        results = _texts(given, self.target)
        if not results:
            raise Unusable(f"the target is empty (column '{self.target}')")
        further = [text for name in self.references for text in _texts(columns.row(record).get(name), name)]
        return ParallelTexts(id=record.where, source=source, result=results[0], references=(*results[1:], *further))


def _named(found: Mapping[str, Sequence[Any]]) -> tuple[str, ...] | None:
    return pair([name for name, values in found.items() if columns.texts([_first(each) for each in values])])


def pair(names: Collection[str]) -> tuple[str, ...] | None:
    """The source's column, the target's and those of further targets (`summary1`, `summary2` …); None for no pair."""
    for source, target in PAIRS:
        left, right = columns.named(names, (source,)), columns.named(names, (target,))
        numbered = sorted(name for name in names if re.fullmatch(rf"{target}[_ ]?\d", name.lower()))
        if left and (right or len(numbered) > 1):
            return (left[0], *right, *numbered)
    spoken = columns.named(names, LANGUAGES)
    if len(spoken) != 2:
        return None
    return tuple(sorted(spoken, key=list(names).index))


def _first(cell: object) -> object:
    return cell[0] if isinstance(cell, list) and cell else cell


def _texts(cell: object, column: str) -> list[str]:
    cells = cell if isinstance(cell, list) else [cell]
    return [text for each in cells if (text := columns.plain(each, column)).strip()]
