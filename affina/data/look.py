"""Files looked at as training would read them: what they are, what is in them, what is wrong with them.

Rows are gone through twice, one at a time: once to recognise the shape on an equal sample, once to read them with it.
Counts are exact; what a closer look is taken at is a sample, and the result says so.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from affina.core.errors import Refused
from affina.core.kinds import Record, Unusable
from affina.core.recipe import Data
from affina.core.say import Say
from affina.data import encoding
from affina.data.faults import Problem
from affina.data.files import listed, short_names
from affina.data.glance import Glance
from affina.data.recognise import Reading, readings, shape_for
from affina.data.reservoir import Reservoir
from affina.data.sight import SAMPLED, Sight
from affina.data.told import told

REASONS = 500
"""Different reasons that are counted apart."""
EVERY = 20_000
"""Rows between two words about how far it is."""


class Looking:
    """One look at files. `refused`: why their shape is not known, where it is not; the rest can still be told."""

    def __init__(self, data: Data, folder: Path, say: Say) -> None:
        self.data, self.say = data, say
        paths, self.notes = listed(data.read, folder, data.reader)
        self.readings = readings(paths, data.reader)
        self.names = short_names(paths)
        self.rows: Counter[str] = Counter()
        self.columns: dict[str, Glance] = {}
        self.sight = Sight()
        self.reasons: Counter[str] = Counter()
        self.first: dict[str, Problem] = {}
        self.used = 0
        self.shape, self.why = data.shape, "as it was told"
        self.refused = self._recognise() if data.shape is None else None
        self._read()

    def _recognise(self) -> Refused | None:
        """Sets the shape, or hands back what keeps it from being recognised."""
        held: Reservoir[Record] = Reservoir(SAMPLED)
        for _, record in self._records("looking at"):
            if not record.problem:
                held.offer(record)
        if not held.kept:
            return None
        try:
            self.shape, self.why = shape_for(held.kept)
        except Refused as error:
            return error
        return None

    def _records(self, doing: str) -> Iterator[tuple[Reading, Record]]:
        met = 0
        for reading in self.readings:
            for record in reading.records():
                met += 1
                if met % EVERY == 0:
                    self.say.progress(f"{doing} {self.names[reading.paths[0]]}, rows", met, 0)
                yield reading, record

    def _read(self) -> None:
        """Every row into its columns, and through the shape into what is seen or what is set aside."""
        for reading, record in self._records("reading"):
            name = self.names[reading.paths[0]]
            self.rows[name] += 1
            if isinstance(record.values, Mapping) and not record.problem:
                for column, cell in record.values.items():
                    self.columns.setdefault(str(column), Glance()).add(cell)
            try:
                if record.problem or self.shape is None:
                    raise Unusable(record.problem or "the dataset's shape is not recognised")
                examples = list(told(self.shape, record, f"{name}:{record.line}"))
            except Unusable as error:
                self._set_aside(name, record.line, str(error))
                continue
            self.used += 1
            for example in examples:
                self.sight.add(example, name, record.line)

    def _set_aside(self, file: str, line: int, reason: str) -> None:
        alike = re.sub(r"'[^']*'|\b\d+\b", "#", reason)
        alike = alike if alike in self.first or len(self.first) < REASONS else "for another reason"
        self.reasons[alike] += 1
        self.first.setdefault(alike, Problem("row", file, line, 1, reason))

    def quarantined(self) -> dict[str, int]:
        """Why rows are set aside, commonest first: in a row's own words where there is no other like it."""
        told = self.reasons.most_common()
        return {self.first[alike].sentence if times == 1 else alike: times for alike, times in told}

    def problems(self) -> list[Problem]:
        """Rows that cannot be used, guesses about encodings, and what the examples themselves show."""
        found = [Problem("encoding", "", 0, 1, note) for note in self._encoding_notes()]
        for alike, times in [] if self.refused else self.reasons.most_common():
            first = self.first[alike]
            sentence = first.sentence if times == 1 else f"{times:,} rows like this one: {first.sentence}"
            found.append(first._replace(times=times, sentence=sentence))
        return [*found, *(self.sight.problems() if self.used else ())]

    def _encoding_notes(self) -> list[str]:
        given = getattr(self.data.reader, "encoding", None)
        paths = [path for each in self.readings if "encoding" in type(each.reader).model_fields for path in each.paths]
        return [note for path in paths if (note := encoding.detect(path).note)] if given is None else []
