"""Counting without keeping: how many ids there were and which set they form, reasons that differ in numbers only, and
lines that go to disk when they grow many."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import _TemporaryFileWrapper
from typing import IO

from affina.core.cache import scratch_file

MODULUS = 2**128
NUMBER = re.compile(r"\b\d+\b(?!\.\w)")
ROW = re.compile(r"(?<= of )\S+:\d+(?:\.\d+)?(?:\+\S+)?$")
"""The id of another row, at the end of a reason."""
MOST = 200
"""Different reasons that are told apart."""
OTHERS = "other reasons, which the rows themselves tell"
LINES_BYTES = 4 << 20
"""Lines kept in memory; more stand in a scratch file."""


@dataclass
class Tally:
    """A number of ids, and the sum of their hashes: two tallies are equal when they counted the same ids as often
    (a sum of 128-bit hashes that agrees by chance does so once in 2^128)."""

    count: int = 0
    mark: int = 0

    def add(self, id: str) -> None:
        self.count += 1
        self.mark = (self.mark + _hash(id)) % MODULUS

    def take(self, id: str) -> None:
        """What was added is not counted any more."""
        self.count -= 1
        self.mark = (self.mark - _hash(id)) % MODULUS

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.count + other.count, (self.mark + other.mark) % MODULUS)


def _hash(id: str) -> int:
    return int.from_bytes(blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "little")


class Reasons:
    """How often each reason was given. Reasons that differ only in numbers, or in the row they name, are one; what
    differs is shown where it is the same every time. Of more than MOST different ones the rest are told together."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, int]] = {}

    def add(self, reason: str, times: int = 1) -> None:
        plain = NUMBER.sub("#", ROW.sub("a row", reason))
        if plain not in self._told and len(self._told) >= MOST:
            reason = plain = OTHERS
        shown, before = self._told.get(plain, (reason, 0))
        self._told[plain] = (shown if shown == reason else plain, before + times)

    def items(self) -> list[tuple[str, int]]:
        """(reason, times), commonest first."""
        return sorted(self._told.values(), key=lambda pair: -pair[1])


class Lines:
    """Lines of bytes in order, in memory while they are few; after those of `before`, a file that stays as it is."""

    def __init__(self, before: Path | None = None) -> None:
        self._before = before
        self._kept: list[bytes] = []
        self._size = 0
        self._file: _TemporaryFileWrapper[bytes] | None = None

    def add(self, line: bytes) -> None:
        """Raises Failed when the disk is full."""
        self._kept.append(line)
        self._size += len(line)
        if self._size > LINES_BYTES:
            self._file = self._file or scratch_file(".jsonl")
            self._file.writelines(self._kept)
            self._kept, self._size = [], 0

    def write(self, file: IO[bytes]) -> None:
        """Copies them all into `file`."""
        if self._file:
            self._file.flush()
        for path in [self._before, Path(self._file.name) if self._file else None]:
            if path is not None:
                with path.open("rb") as lines:
                    shutil.copyfileobj(lines, file)
        file.writelines(self._kept)
