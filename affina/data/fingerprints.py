"""64 bits of each text of an Arrow column, white space not counted: many texts at a time and in numpy, so that threads
compute side by side. Of two texts that differ they are equal once in 2^64."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from affina.data.minhash import Hashes, Indices

Bytes = npt.NDArray[np.uint8]
WORD = 8
"""Bytes that are hashed at a time."""
ALL = np.uint64(2**64 - 1)
APART = np.uint64(0x9E3779B97F4A7C15)
"""What sets a value apart from the same one a place further: 2^64 by the golden ratio (Steele et al., 2014)."""
SPACE = 32
BLANKS = (0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
WIDE = tuple(chr(point).encode() for point in BLANKS)
"""White space of more than one byte, as `str.split` has it."""


def fingerprints(texts: pa.Array) -> Hashes:
    """[N] of strings, or of bytes that are UTF-8 but for half surrogate pairs."""
    data, edges = _contents(texts)
    blank = _blank(data)
    before = np.ones(len(data), bool)  # a blank or the text's beginning stands before it
    before[1:] = blank[:-1]
    before[edges[:-1][edges[:-1] < len(data)]] = True
    if (blank & (before | (data != SPACE))).any():
        more = blank & before
        data, edges = (
            np.where(blank, np.uint8(SPACE), data)[~more],
            edges - np.searchsorted(np.flatnonzero(more), edges),
        )
    stops = edges[1:].copy()
    filled = np.flatnonzero(stops > edges[:-1])
    stops[filled] -= data[stops[filled] - 1] == SPACE  # of white space at the end one blank is left
    return _hashed(data, edges[:-1], stops)


def folded(values: Hashes, starts: Indices) -> Hashes:
    """[N]: of those in [starts[n], starts[n + 1]) one value, which tells their order and how many they are."""
    counts = np.diff(starts)
    places = np.arange(1, len(values) + 1) - np.repeat(starts[:-1], counts)
    with np.errstate(over="ignore"):
        return _summed(values + places.astype(np.uint64) * APART, starts, counts)


def _summed(values: Hashes, starts: Indices, sizes: Indices) -> Hashes:
    found, filled = sizes.astype(np.uint64), np.flatnonzero(np.diff(starts))
    with np.errstate(over="ignore"):
        if len(filled):
            found[filled] += np.add.reduceat(_mixed(values), starts[filled])
        return _mixed(found * APART)


def _mixed(values: Hashes) -> Hashes:
    """In their place, a bijection of 64 bits of which each changes about half of the others (splitmix64)."""
    with np.errstate(over="ignore"):
        values ^= values >> np.uint64(30)
        values *= np.uint64(0xBF58476D1CE4E5B9)
        values ^= values >> np.uint64(27)
        values *= np.uint64(0x94D049BB133111EB)
        values ^= values >> np.uint64(31)
    return values


def _contents(texts: pa.Array) -> tuple[Bytes, Indices]:
    """The bytes of all texts, one after another, and where each begins [N + 1]."""
    if not len(texts):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    held = np.frombuffer(data, np.uint8)[edges[0] : edges[-1]] if data is not None else np.zeros(0, np.uint8)
    return held, edges - edges[0]


def _blank(data: Bytes) -> npt.NDArray[np.bool_]:
    """Which bytes are of white space."""
    blank: npt.NDArray[np.bool_] = (data == SPACE) | (data - np.uint8(9) <= 4) | (data - np.uint8(28) <= 3)
    if not len(data) or data.max() < min(WIDE)[0]:
        return blank
    places = {lead: np.flatnonzero(data == lead) for lead in {each[0] for each in WIDE}}
    for each in WIDE:
        at = places[each[0]]
        at = at[at + len(each) <= len(data)]
        for further, byte in enumerate(each):
            at = at[data[at + further] == byte]
        for further in range(len(each)):
            blank[at + further] = True
    return blank


def _hashed(data: Bytes, starts: Indices, stops: Indices) -> Hashes:
    """[N] of the bytes [start, stop) of each text: of its words, each told by its place, and of its length."""
    sizes = stops - starts
    counts = (sizes + WORD - 1) // WORD
    edges = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(counts, out=edges[1:])
    places = np.arange(edges[-1]) - np.repeat(edges[:-1], counts)
    words = np.ndarray((len(data) + 1,), "<u8", np.concatenate([data, np.zeros(WORD, np.uint8)]), strides=(1,))
    found = words[np.repeat(starts, counts) + places * WORD].astype(np.uint64, copy=False)
    filled = np.flatnonzero(counts)
    found[edges[1:][filled] - 1] &= ALL >> (np.uint64(8) * (-sizes[filled] % WORD).astype(np.uint64))
    places += 1
    with np.errstate(over="ignore"):
        found += places.astype(np.uint64) * APART
    return _summed(found, edges, sizes)
