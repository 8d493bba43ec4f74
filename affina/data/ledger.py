"""The ledger: every input record ends as used, dropped or quarantined, and the three add up to what was read."""

import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from affina.core.errors import Failed, Refused
from affina.core.example import Example
from affina.core.kinds import Record


class Ledger:
    """The books of one preparation. `on_bad="stop"` refuses at the first record that cannot be used."""

    def __init__(self, on_bad: Literal["quarantine", "stop"] = "quarantine") -> None:
        self.on_bad = on_bad
        self._read: Counter[str] = Counter()
        self._quarantined: list[tuple[Record, str]] = []
        self._dropped: list[tuple[str, str]] = []
        self._made: list[str] = []
        self._used: dict[str, list[str]] = {}
        self._cut = {"rows": 0, "tokens": 0, "targets": 0}

    def read(self, file: str, n: int) -> None:
        """`n` records came out of `file`, good or bad: counted where they are read, before anything judges them."""
        self._read[file] += n

    def quarantine(self, record: Record, reason: str) -> None:
        """Sets a record aside. Raises Refused when bad rows stop the run."""
        if self.on_bad == "stop":
            raise Refused(
                "this row cannot be used",
                why=reason,
                instead="mend it, or write `on_bad: quarantine` to set such rows aside",
                where=record.where,
            )
        self._quarantined.append((record, reason))

    def drop(self, example: Example, reason: str) -> None:
        """An example that a transform leaves out."""
        self._dropped.append((example.id, reason))

    def make(self, example: Example) -> None:
        """An example that a transform adds."""
        self._made.append(example.id)

    def use(self, splits: Mapping[str, Sequence[Example]]) -> None:
        """The examples that go on, by split."""
        for split, examples in splits.items():
            self._used.setdefault(split, []).extend(example.id for example in examples)

    def withdraw(self, ids: Collection[str], reason: str) -> None:
        """Examples that were to go on turn out to be unusable: they end as dropped."""
        for split, used in self._used.items():
            self._dropped += [(id, reason) for id in used if id in ids]
            self._used[split] = [id for id in used if id not in ids]

    def cut(self, rows: int, tokens: int, targets: int) -> None:
        """Rows that were longer than `max_tokens`, the tokens they lost, and how many of those were targets."""
        for name, lost in (("rows", rows), ("tokens", tokens), ("targets", targets)):
            self._cut[name] += lost

    @property
    def quarantined(self) -> int:
        """How many records were set aside."""
        return len(self._quarantined)

    def reasons(self) -> list[tuple[str, int]]:
        """Why records were set aside, commonest first; a number that differs between them is written #."""
        return _counted(reason for _, reason in self._quarantined)

    def reconcile(self) -> None:
        """Raises Failed unless each record read has exactly one end."""
        ends = Counter(id for id, _ in self._dropped)
        for ids in self._used.values():
            ends.update(ids)
        twice = [id for id, times in ends.items() if times > 1]
        if twice:
            raise Failed("the ledger does not add up", why=f"{twice[0]} ends twice ({len(twice)} such rows)")
        read, ended = self._read.total() + len(self._made), self.quarantined + len(ends)
        if read != ended:
            raise Failed(
                "the ledger does not add up",
                why=f"{self._read.total()} records were read and {len(self._made)} made, but {self.quarantined} are "
                f"quarantined, {len(self._dropped)} dropped and {len(ends) - len(self._dropped)} used",
                instead="a transform lost or invented rows without saying so: every row it leaves out goes to `drop`",
            )

    def summary(self) -> dict[str, Any]:
        """The totals, as plain data."""
        return {
            "read": self._read.total(),
            "files": dict(self._read),
            "made": len(self._made),
            "used": {split: len(ids) for split, ids in self._used.items()},
            "dropped": {"total": len(self._dropped), "reasons": dict(_counted(why for _, why in self._dropped))},
            "quarantined": {"total": self.quarantined, "reasons": dict(self.reasons())},
            "cut": dict(self._cut),
        }

    def write(self, folder: Path) -> None:
        """`ledger.json`, and row by row `quarantine.jsonl` and `dropped.jsonl`, which only their owner may read.

        Raises Failed when the folder cannot be written.
        """
        rows = [
            {"file": record.file, "line": record.line, "reason": reason, "row": record.values}
            for record, reason in self._quarantined
        ]
        drops = [{"id": id, "reason": reason} for id, reason in self._dropped]
        try:
            _write(folder / "quarantine.jsonl", rows)
            _write(folder / "dropped.jsonl", drops)
            _write(folder / "ledger.json", [self.summary()])
        except OSError as error:
            raise Failed(f"the ledger cannot be written to {folder}", why=error.strerror or str(error)) from error


def _counted(reasons: Iterable[str]) -> list[tuple[str, int]]:
    """Reasons that differ only in numbers are one; its numbers are shown where they are the same every time."""
    alike: dict[str, list[str]] = {}
    for reason in reasons:
        alike.setdefault(re.sub(r"\b\d+\b(?!\.\w)", "#", reason), []).append(reason)
    told = [(each[0] if len(set(each)) == 1 else plain, len(each)) for plain, each in alike.items()]
    return sorted(told, key=lambda pair: -pair[1])


def _write(path: Path, lines: Iterable[Any]) -> None:
    """One JSON value per line, written aside, then put in place; readable by its owner only."""
    aside = path.with_name(f"{path.name}.part")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    # half a surrogate pair, which JSON can hold and UTF-8 cannot, is written as the \u escape it came from
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    aside.replace(path)
