"""What stays of rows of which a share is dropped (an adapter's input, a half's output), a bit to a number.

Which numbers stay is decided by a seed and their place alone: a pass that computes a block once more drops the same.
"""

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from affina.engine.torch import native

P, N, U, F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64, ctypes.c_float
BITS, PARTS = 32, 1 << 16
"""Numbers to a word of bits; a share is a whole number of this many parts."""
STEP, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Of SplitMix64 (Steele, Lea and Flood, 2014)."""
SUFFIX = {torch.bfloat16: "bf16", torch.float32: "float32"}


def fresh_seed() -> int:
    """Of 63 bits, from torch's generator."""
    return int(torch.randint(2**63 - 1, ()))


def threshold(share: float) -> int:
    """The parts that are dropped: a share to the nearest of them, never all."""
    return min(round(share * PARTS), PARTS - 1)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rows [T, K] of which a share is dropped. K is a multiple of 16."""

    bits: Tensor
    """[T, K / 32 rounded up] words: a bit is set where a number stays."""
    columns: int
    parts: int

    @classmethod
    def of(cls, seed: int, rows: int, columns: int, share: float) -> "Dropped":
        """`seed` is of 64 bits, without sign."""
        words, parts, library = -(-columns // BITS), threshold(share), _library()
        if library is None:
            return cls(torch.from_numpy(drawn(seed, rows, words, parts)), columns, parts)
        bits = torch.empty(rows, words, dtype=torch.int32)
        library.affina_drop_draw(seed, rows, columns, parts, bits.data_ptr())
        return cls(bits, columns, parts)

    def __call__(self, x: Tensor) -> Tensor:
        """x [T, K] without what is dropped, the rest so much larger that its expectation stays."""
        library = _library()
        if library is not None and x.dtype in SUFFIX and x.is_contiguous():
            made = torch.empty_like(x)
            kernel = getattr(library, f"affina_drop_keep_{SUFFIX[x.dtype]}")
            kernel(x.data_ptr(), self.bits.data_ptr(), *x.shape, self.scale, made.data_ptr())
            return made
        return torch.where(self.stays(), x * self.scale, x.new_zeros(()))

    @property
    def scale(self) -> float:
        """What the rest is multiplied by."""
        return PARTS / (PARTS - self.parts)

    def stays(self) -> Tensor:
        """[T, K] whether a number stays."""
        places = torch.arange(BITS, dtype=torch.int32)
        return (self.bits[..., None] >> places & 1).flatten(1)[:, : self.columns].bool()


def drawn(seed: int, rows: int, words: int, parts: int) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """[rows, words]: the bits as `native/dropped.cpp` has them."""
    z = np.arange(1, rows * words * BITS // 4 + 1, dtype=np.uint64) * np.uint64(STEP) + np.uint64(seed)
    z = (z ^ z >> np.uint64(30)) * np.uint64(FIRST)
    z = (z ^ z >> np.uint64(27)) * np.uint64(SECOND)
    stays = (z ^ z >> np.uint64(31)).astype("<u8").view("<u2").reshape(rows, words * BITS) >= parts
    return np.packbits(stays, axis=1, bitorder="little").view("<i4").astype(np.int32)


@cache
def _library() -> ctypes.CDLL | None:
    library = native.library()
    if library is None:
        return None
    library.affina_drop_draw.argtypes, library.affina_drop_draw.restype = (U, N, N, N, P), None
    for each in SUFFIX.values():
        kernel = getattr(library, f"affina_drop_keep_{each}")
        kernel.argtypes, kernel.restype = (P, P, N, N, F, P), None
    return library
