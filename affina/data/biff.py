"""The rows of an old workbook (.xls) that hold something, from the records of its stream ([MS-XLS], BIFF 5 and 8)."""

import struct
from collections.abc import Iterator
from pathlib import Path

from affina.data import compound

BOF, EOF, SHEET, CONTINUE, STRINGS = 0x809, 0x0A, 0x85, 0x3C, 0xFC
FORMULA, RESULT, SHARED, NUMBERS, TRUTH = 0x06, 0x207, 0xFD, (0x203, 0x27E, 0xBD), 0x205
LABELS = (0x204, 0xD6)
BIFF8 = 0x600
TEXT_RESULT, TRUE_RESULT = 0, 1
"""What the first byte of a formula's result says where its last two are FF: a text follows, or a truth value."""


def filled_rows(path: Path, sheet: int) -> list[int] | None:
    """The rows, counted from 1, of the sheet of this number, counted from 0; None for a stream that is not as told."""
    content = compound.stream(path, ("Workbook", "Book"))
    if content is None:
        return None
    try:
        records = [*_records(content, 0)]
        wide = struct.unpack_from("<H", records[0][1])[0] == BIFF8
        begins = [struct.unpack_from("<I", data)[0] for kind, data in records if kind == SHEET]
        return sorted({row + 1 for row in _rows(content, begins[sheet], wide, [*_blank(records)])})
    except (struct.error, IndexError):
        return None


def _records(content: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Kind and data of the records of the part that begins here, to its end."""
    depth = 0
    while True:
        kind, size = struct.unpack_from("<HH", content, at)
        yield kind, content[at + 4 : at + 4 + size]
        depth += (kind == BOF) - (kind == EOF)
        if not depth:
            return
        at += 4 + size


def _rows(content: bytes, begin: int, wide: bool, blank: list[bool]) -> Iterator[int]:
    """The row of each cell that holds something: no white space and no error."""
    row = 0
    depth = 0
    for kind, data in _records(content, begin):
        depth += (kind == BOF) - (kind == EOF)
        if depth > 1:
            continue  # a chart that lies on the sheet
        if kind == RESULT:
            if _text(data, wide).strip():
                yield row
        elif kind in (FORMULA, SHARED, TRUTH, *NUMBERS, *LABELS):
            row = struct.unpack_from("<H", data)[0]
            if _filled(kind, data, wide, blank):
                yield row


def _filled(kind: int, data: bytes, wide: bool, blank: list[bool]) -> bool:
    if kind == SHARED:
        return not blank[struct.unpack_from("<I", data, 6)[0]]
    if kind in LABELS:
        return bool(_text(data[6:], wide).strip())
    if kind == TRUTH:
        return data[7] == 0
    if kind == FORMULA and data[12:14] == b"\xff\xff":
        return data[6] == TRUE_RESULT  # a text comes in a record of its own
    return True


def _text(data: bytes, wide: bool) -> str:
    """Whether it is blank can be told from it; its letters beyond Latin 1 in BIFF 5 cannot."""
    length = struct.unpack_from("<H", data)[0]
    if wide and data[2] & 1:
        return data[3 : 3 + 2 * length].decode("utf-16-le", "replace")
    return data[2 + wide : 2 + wide + length].decode("latin_1")


def _blank(records: list[tuple[int, bytes]]) -> Iterator[bool]:
    """Of each shared string, whether it is white space (2.4.265)."""
    at = next((number for number, (kind, _) in enumerate(records) if kind == STRINGS), None)
    if at is None:
        return
    pieces = [records[at][1]]
    while records[at + len(pieces)][0] == CONTINUE:
        pieces.append(records[at + len(pieces)][1])
    shared = _Shared(pieces)
    _, many = struct.unpack("<II", shared.take(8))
    for _ in range(many):
        length, flags = struct.unpack("<HB", shared.take(3))
        runs = struct.unpack("<H", shared.take(2))[0] if flags & 8 else 0
        more = struct.unpack("<I", shared.take(4))[0] if flags & 4 else 0
        yield not shared.text(length, bool(flags & 1)).strip()
        shared.take(4 * runs + more)


class _Shared:
    """A record that goes on in others; where letters go on, how wide they are is said again."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces, self.at = pieces[::-1], 0

    def take(self, size: int) -> bytes:
        taken = b""
        while len(taken) < size:
            if self.at == len(self.pieces[-1]):
                self._turn()
            piece = self.pieces[-1][self.at : self.at + size - len(taken)]
            taken, self.at = taken + piece, self.at + len(piece)
        return taken

    def text(self, length: int, wide: bool) -> str:
        """A character for each unit of UTF-16, whatever it is half of."""
        found = ""
        while len(found) < length:
            if self.at == len(self.pieces[-1]):
                self._turn()
                wide = bool(self.take(1)[0] & 1)
            left = (len(self.pieces[-1]) - self.at) // (1 + wide)
            letters = self.take(min(left, length - len(found)) * (1 + wide))
            units = struct.unpack(f"<{len(letters) // 2}H", letters) if wide else letters
            found += "".join(map(chr, units))
            if not letters:  # half a letter is left, which is a damaged file's
                raise IndexError
        return found

    def _turn(self) -> None:
        self.pieces.pop()
        self.at = 0
