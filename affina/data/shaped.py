"""Records to examples by one shape: what cannot be one is quarantined with its reason, and nothing left is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from affina.core.errors import Refused, nearest
from affina.core.example import Example
from affina.core.kinds import Record, Shape, Unusable, describe_columns
from affina.data.columns import MissingColumn, optional
from affina.data.held import held
from affina.data.ledger import Ledger
from affina.data.stream import Entry, Records
from affina.data.told import told


@dataclass(frozen=True)
class Objection:
    """Why an example cannot be used."""

    by: str
    """Names all that the answer depends on, such as the digest of a vocabulary."""
    to: Callable[[Example], str]
    """The reason in a sentence; empty when the example can be used."""


class Shaped:
    """A shape put to records, and the count of what became of them."""

    def __init__(self, shape: Shape | None, keep: Sequence[str], ledger: Ledger, objection: Objection | None) -> None:
        """`keep`: columns that become an example's facts. Without a shape, every record is set aside."""
        self.shape, self.keep, self.ledger, self.objection = shape, keep, ledger, objection
        self.missing: Counter[str] = Counter()
        self.read = self.unsound = self.objected = 0
        self.first: Record | None = None

    def examples(self, records: Records) -> Collection[Example]:
        """Every record's example, ids set. Raises Refused when none is left, or no record has a column to keep."""
        found = held(self._each(records))
        if not found:
            raise self._nothing_left(records.sample())
        return found

    def _each(self, records: Records) -> Iterator[Example]:
        unkept = set(self.keep)
        for entry in records:
            self.read += 1
            self.first = self.first or entry.record
            self.ledger.read(entry.file, entry.id)
            try:
                examples = self._examples(entry)
                unkept -= set(entry.record.values) if isinstance(entry.record.values, Mapping) else set()
                yield from examples
            except Unusable as error:
                if isinstance(error, MissingColumn):
                    self.missing[error.column] += 1
                self.ledger.quarantine(entry.record, str(error), entry.id)
        if unkept and self.read > self.unsound:
            self._refuse_unkept(min(unkept), records)

    def _examples(self, entry: Entry) -> list[Example]:
        """The record's example; further ones that it gives are entered as made of it."""
        if entry.record.problem or self.shape is None:
            self.unsound += 1
            raise Unusable(entry.record.problem)
        facts: Mapping[str, str] = {name: optional(entry.record, name) for name in self.keep}
        first, *further = (replace(each, facts=facts) for each in told(self.shape, entry.record, entry.id))
        if self.objection and (reason := self.objection.to(first)):
            self.objected += 1
            raise Unusable(reason)
        kept = [first]
        for each in further:
            self.ledger.make(each)
            if self.objection and (reason := self.objection.to(each)):
                self.ledger.drop(each, reason)
            else:
                kept.append(each)
        return kept

    def _refuse_unkept(self, column: str, records: Records) -> None:
        columns = describe_columns(records.sample())
        raise Refused(
            f"no column is called '{column}'",
            why=f"`data.keep` or a transform asks for it; the columns are {', '.join(columns) or 'none'}",
            instead=nearest(column, columns) if columns else "",
        )

    def _nothing_left(self, sample: Sequence[Record]) -> Refused:
        sound, columns = self.read - self.unsound, describe_columns(sample)
        where: Any = self.first
        if self.missing and self.missing.total() == sound:
            column = self.missing.most_common(1)[0][0]
            return Refused(
                f"no column is called '{column}'",
                why=f"the columns are {', '.join(columns) or 'none: the rows are plain text'}",
                instead=f"{_meant(column, columns)}name the columns under `data.shape`",
                where=where.file,
            )
        shapeless = self.objected < sound
        remedies = ["mend the file" if shapeless or not sound else "mend the texts, or choose another base"]
        if columns and shapeless:
            remedies.append("or name its columns under `data.shape`")
        reasons = "; ".join(f"{times} × {reason}" for reason, times in self.ledger.reasons()[:5])
        return Refused(
            "no usable row is left",
            why=f"{self.read} were read and all were set aside: {reasons}" if self.read else "there are no rows",
            instead=", ".join(remedies),
            where=where.where if where else "",
        )


def _meant(column: str, columns: Sequence[str]) -> str:
    """A question that offers the nearest column; empty when none is near."""
    close = nearest(column, [*columns])
    return f"{close} " if close.endswith("?") else ""
