import bz2
import gzip
import io
import lzma
import random
import zlib
from collections.abc import Callable

import pytest
import zstandard
from packing import CODECS

from affina.core.errors import Refused
from affina.data.decompress import CODECS as NAMES
from affina.data.decompress import Flow, chunks

ENDINGS = dict(zip(CODECS, NAMES, strict=True))
ERRORS = (EOFError, zlib.error, OSError, lzma.LZMAError, zstandard.ZstdError)
TEXT = "".join(f"{number},{number * number % 9973}\n" for number in range(60_000)).encode()


def unpacked(content: bytes, ending: str) -> bytes:
    return b"".join(chunks(io.BytesIO(content), ENDINGS[ending]))


@pytest.mark.parametrize("ending", CODECS)
def test_what_was_compressed_comes_back(ending: str) -> None:
    for content in (TEXT, b"x", b""):
        assert unpacked(CODECS[ending](content), ending) == content


@pytest.mark.parametrize("ending", CODECS)
def test_frames_joined_are_read_one_after_the_other(ending: str) -> None:
    pack = CODECS[ending]
    assert unpacked(pack(b"one\n") + pack(b"") + pack(TEXT), ending) == b"one\n" + TEXT
    assert unpacked(pack(b"one\n") + bytes(8) + pack(b"two\n") + bytes(9000), ending) == b"one\ntwo\n"


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
@pytest.mark.parametrize("ending", CODECS)
def test_a_file_that_is_cut_off_is_an_error_wherever_it_is_cut(ending: str, share: float) -> None:
    content = CODECS[ending](TEXT)
    with pytest.raises(ERRORS):
        unpacked(content[: int(len(content) * share)], ending)
    with pytest.raises(ERRORS):
        unpacked(content + content[: int(len(content) * share)], ending)


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor(write_checksum=True).compress),
    ],
)
def test_no_changed_byte_passes_unseen(ending: str, pack: Callable[[bytes], bytes]) -> None:
    """All four keep a checksum of the content; a header's own bytes (a time, a name) may differ and say the same."""
    content, draws = pack(TEXT), random.Random(0)
    for _ in range(60):
        place = draws.randrange(len(content))
        changed = bytearray(content)
        changed[place] ^= 1 << draws.randrange(8)
        try:
            assert unpacked(bytes(changed), ending) == TEXT
        except ERRORS:
            continue


def test_a_file_that_asks_for_too_much_memory_is_refused_as_damaged() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    with pytest.raises(lzma.LZMAError, match=r"[Mm]emory"):
        unpacked(lzma.compress(b"x", filters=filters), ".xz")
    far = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(3, window_log=30)
    ).compressobj()
    with pytest.raises(zstandard.ZstdError, match=r"[Mm]emory"):
        unpacked(far.compress(b"x" * 100) + far.flush(), ".zst")


def test_a_bomb_is_met_in_small_pieces() -> None:
    """zstd's worst: 4 bytes for 128 KiB; 64 MiB of zeros in one bite of 4 KiB would be 2 KiB of it."""
    bomb = zstandard.compress(bytes(64 << 20))
    assert max(map(len, chunks(io.BytesIO(bomb * 8), "zstd"))) <= 128 << 20
    assert sum(map(len, chunks(io.BytesIO(bomb), "zstd"))) == 64 << 20


def test_a_flow_goes_forward_and_never_back() -> None:
    flow = Flow(iter([b"abc", b"", b"defgh", b"ij"]))
    assert flow.peek(5) == b"abcde" and flow.tell() == 0
    assert flow.read(4) == b"abcd" and flow.tell() == 4
    assert flow.seek(7) == 7 and flow.read(100) == b"hij"
    assert flow.read(1) == b"" and flow.seek(50) == 10
    with pytest.raises(io.UnsupportedOperation):
        flow.seek(3)


def test_without_zstandard_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(Refused, match=r"pip install 'affina\[documents\]'"):
        unpacked(zstandard.compress(b"x"), ".zst")
