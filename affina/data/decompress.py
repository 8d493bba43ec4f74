"""What a compressed file holds, as it comes and in bounded memory: gzip, bzip2, xz, zstd, each of many frames."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from affina.core.errors import Refused
from affina.data.allowance import CHUNK

BITE = 1 << 12
"""Bytes read at a time: zstd makes at most 128 KiB of 4 (RFC 8878, 3.1.1.2), so that one bite is 128 MiB at worst."""
WINDOW = 1 << 28
"""Bytes of memory that a compressed file may ask for to be unpacked; `xz -9` needs 65 MiB, `zstd --ultra -22` 128."""
CODECS = ("gzip", "bzip2", "xz", "zstd")


class Flow:
    """Bytes that come once: they can be read in order and skipped, never gone back to."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._held, self._place, self._at = chunks, b"", 0, 0

    def peek(self, size: int) -> bytes:
        """The next bytes, at most so many, which stay to be read."""
        while len(self._held) - self._place < size and (more := next(self._chunks, None)) is not None:
            self._held, self._place = self._held[self._place :] + more, 0
        return self._held[self._place : self._place + size]

    def read(self, size: int) -> bytes:
        """The next bytes: fewer than `size` only at the end."""
        parts = []
        while size > 0 and self.peek(1):
            part = self._held[self._place : self._place + size]
            parts.append(part)
            self._place += len(part)
            size -= len(part)
        self._at += sum(map(len, parts))
        return b"".join(parts)

    def tell(self) -> int:
        return self._at

    def seek(self, place: int) -> int:
        """Goes forward to a place, or to the end where that comes first."""
        if place < self._at:
            raise io.UnsupportedOperation("what was read is gone")
        while self._at < place and self.read(min(CHUNK, place - self._at)):
            pass
        return self._at


def chunks(file: BinaryIO, packing: str) -> Iterator[bytes]:
    """What a file holds, decompressed where `packing` is gzip, bzip2, xz or zstd; all frames, one after the other.

    Raises EOFError where the last frame is cut off, and the codec's own error where one is damaged.
    """
    if packing not in CODECS:
        yield from iter(lambda: file.read(CHUNK), b"")
        return
    fresh = _codec(packing)
    data = file.read(BITE)
    while data:
        frame = fresh()
        while not frame.eof:
            if not data and not (data := file.read(BITE)):
                raise EOFError("it is cut off")
            yield frame.decompress(data)
            data = frame.unused_data if frame.eof else b""
        while not (data := data.lstrip(b"\0")) and (more := file.read(BITE)):  # tapes and xz pad with zeros
            data = more


@contextmanager
def opened(path: Path, packing: str) -> Iterator[Flow]:
    """What a compressed or a plain file holds, as it comes."""
    with path.open("rb") as file:
        yield Flow(chunks(file, packing))


def _codec(packing: str) -> Callable[[], Any]:
    if packing == "gzip":
        return lambda: zlib.decompressobj(wbits=31)
    if packing == "bzip2":
        return bz2.BZ2Decompressor
    if packing == "xz":
        return lambda: lzma.LZMADecompressor(memlimit=WINDOW)
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise Refused("reading zstd needs zstandard", instead="pip install 'affina[documents]'") from error
    whole = zstandard.ZstdDecompressor(max_window_size=WINDOW)
    return lambda: whole.decompressobj()
