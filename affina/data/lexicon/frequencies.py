"""How common a word is, on Zipf's scale: the base-10 logarithm of its times in a thousand million words."""

import gzip
from pathlib import Path

from affina.core.errors import Failed

_HEAD = 1  # the first entry of the list tells its format


def zipf(path: Path) -> dict[str, float]:
    """Every word of a gzipped wordfreq list ("cB": entry i holds the words whose frequency is 10 to the -i/100).

    Raises Failed for a file that is not one.
    """
    data = gzip.decompress(path.read_bytes())
    entries, _ = _unpacked(data, 0)
    if not isinstance(entries, list) or not isinstance(entries[0], dict) or entries[0].get("format") != "cB":
        raise Failed(f"{path} is no list of frequencies", "it does not begin as wordfreq's lists do")
    return {word: 9 - place / 100 for place, words in enumerate(entries[_HEAD:]) for word in words}


def _unpacked(data: bytes, at: int) -> tuple[object, int]:
    """One value of MessagePack (msgpack.org, spec) and where it ends: the kinds that such lists are made of."""
    kind = data[at]
    if kind <= 0x7F:
        return kind, at + 1
    if 0x80 <= kind <= 0x8F:
        flat, after = _several(data, at + 1, 2 * (kind & 0x0F))
        return dict(zip(flat[::2], flat[1::2], strict=True)), after
    if 0x90 <= kind <= 0x9F:
        return _several(data, at + 1, kind & 0x0F)
    if kind in (0xDC, 0xDD):
        start = at + (3 if kind == 0xDC else 5)
        return _several(data, start, int.from_bytes(data[at + 1 : start]))
    if 0xA0 <= kind <= 0xBF:
        return _text(data, at + 1, kind & 0x1F)
    if kind in (0xD9, 0xDA):
        start = at + (2 if kind == 0xD9 else 3)
        return _text(data, start, int.from_bytes(data[at + 1 : start]))
    raise Failed("the list of frequencies cannot be read", f"byte {at} is {kind:#x}")


def _several(data: bytes, at: int, count: int) -> tuple[list[object], int]:
    found = []
    for _ in range(count):
        value, at = _unpacked(data, at)
        found.append(value)
    return found, at


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    return data[at : at + size].decode("utf-8"), at + size
