"""Files looked at as training would read them: what they are, what is in them, what is wrong with them.

Rows are gone through one at a time, and the ledger is the one that preparation keeps. Counts are exact; what a closer
look is taken at is a sample, and the result says so.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affina.core.errors import Failed, Refused
from affina.core.kinds import Unusable
from affina.core.recipe import Data
from affina.core.say import Say
from affina.data import encoding, scratch
from affina.data.faults import Problem
from affina.data.files import listed, short_names
from affina.data.glance import Glance
from affina.data.ledger import Ledger
from affina.data.recognise import readings, shape_for
from affina.data.sight import Sight
from affina.data.stream import Entry, Records
from affina.data.told import told

REASONS = 500
"""Different reasons that are told with their first place."""
EVERY = 20_000
"""Rows between two words about how far it is."""


class Looking:
    """One look at files. `refused`: why their shape is not known, where it is not; the rest can still be told."""

    def __init__(self, data: Data, folder: Path, say: Say) -> None:
        self.data = data
        paths, self.notes = listed(data.read, folder, data.reader)
        self.readings = readings(paths, data.reader)
        names = short_names(paths)
        self.files = {scratch.shown(each.paths[0]): names[each.paths[0]] for each in self.readings}
        self.ledger, self.sight = Ledger(), Sight()
        self.columns: dict[str, Glance] = {}
        self._times: Counter[str] = Counter()
        self._first: dict[str, Problem] = {}
        records = Records(self.readings, [*self.files.values()])
        self.shape, self.why = data.shape, "as it was told"
        self.refused = self._recognise(records) if data.shape is None else None
        for number, entry in enumerate(records, 1):
            self._read(entry)
            if number % EVERY == 0:
                say.progress(f"reading {self.files[entry.file]}, rows", number, 0)
        self.miscounts = self._recounted(records)
        self.ledger.reconcile()

    def _recognise(self, records: Records) -> Refused | None:
        """Sets the shape, or hands back what keeps it from being recognised."""
        sample = records.sample()
        try:
            if sample:
                self.shape, self.why = shape_for(sample)
        except Refused as error:
            return error
        return None

    def _read(self, entry: Entry) -> None:
        """A row into its columns, and through the shape into what is seen or what is set aside."""
        record, file = entry.record, self.files[entry.file]
        self.ledger.read(file, entry.id)
        if isinstance(record.values, Mapping) and not record.problem:
            self._glance(record.values)
        try:
            if record.problem or self.shape is None:
                raise Unusable(record.problem or "the dataset's shape is not recognised")
            examples = list(told(self.shape, record, entry.id))
        except Unusable as error:
            self.ledger.quarantine(record, str(error), entry.id)
            self._set_aside(file, record.line, str(error))
            return
        self.ledger.use("all", examples[:1])
        for example in examples:
            self.sight.add(example, file, record.line)

    def _glance(self, values: Mapping[str, Any]) -> None:
        for name, cell in values.items():
            column = self.columns.get(name)
            if column is None:
                column = self.columns[name] = Glance()
            column.add(cell)

    def _set_aside(self, file: str, line: int, reason: str) -> None:
        alike = re.sub(r"'[^']*'|\b\d+\b", "#", reason)
        alike = alike if alike in self._first or len(self._first) < REASONS else "for another reason"
        self._times[alike] += 1
        self._first.setdefault(alike, Problem("row", file, line, 1, reason))

    def _recounted(self, records: Records) -> list[str]:
        """Where the rows of a file, counted a second way, are not those that were read."""
        found = []
        for file, count in records.counts().items():
            try:
                self.ledger.counted(self.files[file], count)
            except Failed as error:
                found.append(str(error))
        return found

    @property
    def used(self) -> int:
        """Rows that can be used."""
        return int(self.ledger.summary()["used"].get("all", 0))

    def problems(self) -> list[Problem]:
        """Rows that cannot be used, guesses about encodings, and what the examples themselves show."""
        found = [Problem("count", "", 0, 1, sentence) for sentence in self.miscounts]
        found += [Problem("encoding", "", 0, 1, note) for note in self._encoding_notes()]
        for alike, times in [] if self.refused else self._times.most_common():
            first = self._first[alike]
            sentence = first.sentence if times == 1 else f"{times:,} rows like this one: {first.sentence}"
            found.append(first._replace(times=times, sentence=sentence))
        return [*found, *(self.sight.problems() if self.used else ())]

    def _encoding_notes(self) -> list[str]:
        given = getattr(self.data.reader, "encoding", None)
        paths = [path for each in self.readings if "encoding" in type(each.reader).model_fields for path in each.paths]
        return [note for path in paths if (note := encoding.detect(path).note)] if given is None else []
