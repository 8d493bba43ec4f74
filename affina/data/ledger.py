"""The ledger: every input record ends as used, dropped or quarantined, and the three add up to what was read."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from affina.core.errors import Failed, Refused
from affina.core.example import Example
from affina.core.kinds import Record
from affina.data.tally import Lines, Reasons, Tally

FILES = ("quarantine.jsonl", "dropped.jsonl")
"""What was set aside and what was left out, row by row; only their owner may read them."""
PLAIN = json.JSONEncoder(ensure_ascii=False)


class Ledger:
    """The books of one preparation. `on_bad="stop"` refuses at the first record that cannot be used.

    What it keeps does not grow with the rows: counts, and for each end the sum of its ids' hashes, which tells a row
    that is lost, invented or doubled. The rows set aside or left out go to disk.
    """

    def __init__(self, on_bad: Literal["quarantine", "stop"] = "quarantine", before: Path | None = None) -> None:
        """`before`: a folder this ledger was written to, whose rows it begins with."""
        self.on_bad = on_bad
        self._files: Counter[str] = Counter()
        self._tallies: dict[str, Tally] = {end: Tally() for end in ("read", "made", "quarantined", "dropped")}
        self._used: dict[str, Tally] = {}
        self._why = {end: Reasons() for end in ("quarantined", "dropped")}
        rows = [before / name if before else None for name in FILES]
        self._lines = {"quarantined": Lines(rows[0]), "dropped": Lines(rows[1])}
        self._cut = {"rows": 0, "tokens": 0, "targets": 0}

    def read(self, file: str, id: str) -> None:
        """A record came out of `file`, good or bad: counted where it is read, before anything judges it."""
        self._files[file] += 1
        self._tallies["read"].add(id)

    def counted(self, file: str, count: int) -> None:
        """The records of a file counted a second way. Raises Failed where that is not how many were read."""
        if count != self._files[file]:
            raise Failed(
                "the ledger does not add up",
                why=f"{self._files[file]} records were read from {file}, and counted another way it holds {count}",
                instead="this is a fault of the reader: please report it with the file",
            )

    def quarantine(self, record: Record, reason: str, id: str = "") -> None:
        """Sets a record aside. Raises Refused when bad rows stop the run."""
        if self.on_bad == "stop":
            raise Refused(
                "this row cannot be used",
                why=reason,
                instead="mend it, or write `on_bad: quarantine` to set such rows aside",
                where=record.where,
            )
        row = {"file": record.file, "line": record.line, "reason": reason, "row": record.values}
        if record.span:
            row["bytes"] = record.span[:2]
        self._end("quarantined", id or record.where, reason, row)

    def drop(self, example: Example, reason: str) -> None:
        """An example that a transform leaves out."""
        self._end("dropped", example.id, reason, {"id": example.id, "reason": reason})

    def make(self, example: Example) -> None:
        """An example that a transform adds."""
        self._tallies["made"].add(example.id)

    def use(self, split: str, examples: Iterable[Example]) -> None:
        """The examples that go on, of one split."""
        tally = self._used.setdefault(split, Tally())
        for example in examples:
            tally.add(example.id)

    def withdraw(self, split: str, ids: Collection[str], reason: str) -> None:
        """Examples of a split that were to go on turn out to be unusable: they end as dropped."""
        for id in ids:
            self._used[split].take(id)
            self._end("dropped", id, reason, {"id": id, "reason": reason})

    def cut(self, rows: int, tokens: int, targets: int) -> None:
        """Rows that were longer than `max_tokens`, the tokens they lost, and how many of those were targets."""
        for name, lost in (("rows", rows), ("tokens", tokens), ("targets", targets)):
            self._cut[name] += lost

    @property
    def quarantined(self) -> int:
        """How many records were set aside."""
        return self._tallies["quarantined"].count

    def reasons(self) -> list[tuple[str, int]]:
        """Why records were set aside, commonest first; a number that differs between them is written #."""
        return self._why["quarantined"].items()

    def reconcile(self) -> None:
        """Raises Failed unless each record read has exactly one end."""
        read, made, quarantined, dropped = self._tallies.values()
        used = sum(self._used.values(), Tally())
        came, ended = read + made, quarantined + dropped + used
        if came != ended:
            twice = ": one of them ends twice and another not at all" if came.count == ended.count else ""
            raise Failed(
                "the ledger does not add up",
                why=f"{read.count} records were read and {made.count} made, but {quarantined.count} are quarantined, "
                f"{dropped.count} dropped and {used.count} used{twice}",
                instead="a transform lost or invented rows without saying so: every row it leaves out goes to `drop`",
            )

    def summary(self) -> dict[str, Any]:
        """The totals, as plain data."""
        ends = {
            end: {"total": self._tallies[end].count, "reasons": dict(why.items())} for end, why in self._why.items()
        }
        return {
            "read": self._tallies["read"].count,
            "files": dict(self._files),
            "made": self._tallies["made"].count,
            "used": {split: tally.count for split, tally in self._used.items()},
            "dropped": ends["dropped"],
            "quarantined": ends["quarantined"],
            "cut": dict(self._cut),
        }

    def write(self, folder: Path) -> None:
        """`ledger.json`, and row by row `quarantine.jsonl` and `dropped.jsonl`, which only their owner may read.

        Raises Failed when the folder cannot be written.
        """
        try:
            for name, lines in zip(FILES, self._lines.values(), strict=True):
                _write(folder / name, lines)
            totals = Lines()
            totals.add(_line(self.summary()))
            _write(folder / "ledger.json", totals)
        except OSError as error:
            raise Failed(f"the ledger cannot be written to {folder}", why=error.strerror or str(error)) from error

    def marks(self) -> dict[str, Any]:
        """What `summary` does not say and `opened` needs: each end's sum of hashes."""
        tallies = {**self._tallies, **{f"used {split}": tally for split, tally in self._used.items()}}
        return {end: str(tally.mark) for end, tally in tallies.items()}

    @classmethod
    def opened(cls, folder: Path, marks: dict[str, str]) -> Ledger:
        """The ledger that was written to `folder`, to be gone on with."""
        ledger, totals = cls(before=folder), json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
        ledger._files.update(totals["files"])
        counts = {
            "read": totals["read"],
            "made": totals["made"],
            **{end: totals[end]["total"] for end in ("quarantined", "dropped")},
        }
        for end, count in counts.items():
            ledger._tallies[end] = Tally(count, int(marks[end]))
        for split, count in totals["used"].items():
            ledger._used[split] = Tally(count, int(marks[f"used {split}"]))
        for end, why in ledger._why.items():
            for reason, times in totals[end]["reasons"].items():
                why.add(reason, times)
        ledger._cut.update(totals["cut"])
        return ledger

    def _end(self, end: str, id: str, reason: str, row: dict[str, Any]) -> None:
        self._tallies[end].add(id)
        self._why[end].add(reason)
        self._lines[end].add(_line(row))


def _line(plain: Any) -> bytes:
    """One JSON value; half a surrogate pair, which JSON can hold and UTF-8 cannot, as the \\u escape it came from."""
    return (PLAIN.encode(plain) + "\n").encode("utf-8", "backslashreplace")


def _write(path: Path, lines: Lines) -> None:
    """Written aside, then put in place; readable by its owner only."""
    aside = path.with_name(f"{path.name}.part")
    with suppress(FileNotFoundError):
        aside.unlink()
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        lines.write(file)
    aside.replace(path)
